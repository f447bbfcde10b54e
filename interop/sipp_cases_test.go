//go:build interop

package interop

var bob = []string{"bob"}

// callee is a party that bob has registered.
func callee(scenario string) party { return party{scenario: scenario, users: bob} }

// overTCP is a party whose scenario runs over TCP.
func overTCP(p party) party {
	p.transport = "tcp"
	return p
}

// answering is a party whose scenario answers with the status.
func answering(p party, status string) party {
	p.status = status
	return p
}

// leftOpen is a callee whose caller does not hang up.
func leftOpen(p party) party {
	p.open = true
	return p
}

// sippCases are the scenarios of testdata/sipp, each under the name of what it is about.
var sippCases = map[string]*sippCase{
	// Calls.
	"call": {
		shows:   "a call is set up and ended through the recorded route",
		callees: []party{callee("siphon-sip/invite_uas")},
		caller:  party{scenario: "siphon-sip/invite_uac"},
	},
	"call-tcp": {
		shows:   "the same over TCP on both sides",
		callees: []party{overTCP(callee("siphon-sip/invite_uas"))},
		caller:  overTCP(party{scenario: "siphon-sip/invite_uac"}),
	},
	"call-udp-to-tcp": {
		shows:   "both transports are in the recorded route",
		callees: []party{overTCP(callee("siphon-sip/invite_uas"))},
		caller:  party{scenario: "siphon-sip/invite_uac"},
	},
	"call-tcp-to-udp": {
		shows:   "both transports are in the recorded route, the other way round",
		callees: []party{callee("siphon-sip/invite_uas")},
		caller:  overTCP(party{scenario: "siphon-sip/invite_uac"}),
	},
	"call-port-left-out": {
		shows:   "an address of record without a port",
		callees: []party{callee("siphon-sip/invite_uas")},
		caller:  party{scenario: "siphon-sip/routing_uac"},
	},
	"call-many": {
		shows:   "100 calls at 50 per second, none fails",
		callees: []party{callee("siphon-sip/invite_uas_fast")},
		caller:  party{scenario: "siphon-sip/invite_uac_fast"},
		calls:   100, rate: 50,
	},
	"call-many-over-tcp": {
		shows:   "100 calls at 50 per second over one connection on each side, none fails",
		callees: []party{overTCP(callee("siphon-sip/invite_uas_fast"))},
		caller:  overTCP(party{scenario: "siphon-sip/invite_uac_fast"}),
		calls:   100, rate: 50,
	},
	"call-bye": {
		shows:   "a call with another stack's scenarios",
		callees: []party{callee("siphon-rs/uas_invite")},
		caller:  party{scenario: "siphon-rs/invite_bye"},
	},
	"call-several-codecs": {
		shows:   "a longer offer arrives as it was",
		callees: []party{callee("siphon-rs/uas_invite")},
		caller:  party{scenario: "siphon-rs/invite_multi_codec"},
	},
	"ipv6": {
		shows:   "a call over IPv6",
		ip:      "6",
		callees: []party{callee("siphon-rs/uas_invite")},
		caller:  party{scenario: "siphon-rs/invite_bye_ipv6"},
	},
	"call-to-another-domain": {
		shows:   "a user of ours may call somebody elsewhere",
		callees: []party{{scenario: "siphon-rs/uas_invite"}},
		caller:  party{scenario: "siphon-rs/proxy_invite_bye", inject: "{callee0;}"},
		server:  []string{"-domain", "127.0.0.3"},
	},
	"call-route-set": {
		shows:   "ACK and BYE follow the recorded route although the caller sends them at once",
		callees: []party{callee("goser/uas_dialog")},
		caller:  party{scenario: "siphon-rs/route_bye"},
	},
	"call-callee-hangs-up": {
		shows:   "the callee's BYE follows the recorded route",
		callees: []party{callee("drachtio/uas-bye")},
		caller:  party{scenario: "goser/uac_recv_bye"},
	},
	"call-outbound-proxy": {
		shows:   "the server's own Route is taken away (RFC 3261 16.4)",
		callees: []party{callee("goser/uas_dialog")},
		caller:  party{scenario: "goser/uac_preloaded_route"},
	},
	"call-early-media": {
		shows:   "183, 180 and 200 arrive in the order in which they were sent",
		callees: []party{callee("goser/uas_early_media")},
		caller:  party{scenario: "goser/uac_early_media"},
	},
	"call-late-ACK": {
		shows:   "retransmissions of a 200 are relayed (RFC 6026 7.1)",
		callees: []party{callee("siphon-sip/invite_uas")},
		caller: party{scenario: "goser/uac_late_ack",
			sees: []string{`(?s)(SIP/2\.0 200 .*CSeq: 1 INVITE.*){2}`}},
	},
	"call-lost-ACK": {
		shows:   "the ACK for a retransmitted 200 reaches the callee",
		callees: []party{callee("goser/uas_lost_ack")},
		caller:  party{scenario: "siphon-sip/invite_uac"},
	},
	"call-large": {
		shows:   "an INVITE of 5000 bytes reaches a callee on the flow that he registered over",
		callees: []party{callee("goser/uas_dialog")},
		caller:  party{scenario: "goser/uac_large"},
	},
	"call-large-over-tcp": {
		shows:   "an INVITE of 5000 bytes over TCP",
		callees: []party{overTCP(callee("goser/uas_dialog"))},
		caller:  overTCP(party{scenario: "goser/uac_large"}),
	},

	// In a call.
	"dialog-re-INVITE": {
		shows:   "hold and resume",
		callees: []party{callee("siphon-sip/reinvite_uas")},
		caller:  party{scenario: "siphon-sip/reinvite_uac"},
	},
	"dialog-re-INVITE-once": {
		shows:   "a re-INVITE is a transaction like any other",
		callees: []party{callee("goser/uas_dialog")},
		caller:  party{scenario: "siphon-rs/reinvite"},
	},
	"dialog-re-INVITE-thrice": {
		shows:   "several, one after the other",
		callees: []party{leftOpen(callee("goser/uas_dialog"))},
		caller:  party{scenario: "drachtio/uac-overlapping"},
	},
	"dialog-session-timer": {
		shows:   "a session refresh with its Session-Expires",
		callees: []party{callee("goser/uas_dialog")},
		caller:  party{scenario: "siphon-rs/session_timer_refresh"},
	},
	"dialog-INFO": {
		shows:   "INFO in a dialog",
		callees: []party{callee("goser/uas_dialog")},
		caller:  party{scenario: "siphon-rs/info"},
	},
	"dialog-UPDATE": {
		shows:   "UPDATE in a dialog (RFC 3311)",
		callees: []party{leftOpen(callee("goser/uas_dialog"))},
		caller:  party{scenario: "siphon-rs/update"},
	},
	"dialog-early-UPDATE": {
		shows:   "UPDATE while the INVITE has no final response",
		callees: []party{callee("goser/uas_early_update")},
		caller:  party{scenario: "drachtio/uac-update-during-invite"},
	},
	"dialog-PRACK": {
		shows:   "PRACK for a reliable 183 (RFC 3262) while the INVITE has no final response",
		callees: []party{callee("siphon-sip/prack_uas")},
		caller:  party{scenario: "siphon-sip/prack_uac"},
	},
	"dialog-PRACK-over-tcp": {
		shows:   "the same over TCP",
		callees: []party{overTCP(callee("siphon-sip/prack_uas"))},
		caller:  overTCP(party{scenario: "siphon-sip/prack_uac"}),
	},
	"dialog-PRACK-180": {
		shows:   "PRACK for a reliable 180",
		callees: []party{callee("drachtio/uas-prack")},
		caller:  party{scenario: "siphon-rs/prack"},
	},
	"dialog-REFER": {
		shows:   "REFER, and the NOTIFYs back (RFC 3515)",
		callees: []party{callee("siphon-sip/proxy_refer_uas")},
		caller:  party{scenario: "siphon-sip/proxy_refer_uac"},
	},
	"dialog-SUBSCRIBE": {
		shows:   "a subscription, its NOTIFYs, and its end",
		callees: []party{callee("siphon-sip/subscribe_uas")},
		caller:  party{scenario: "siphon-sip/subscribe_uac", users: []string{"watcher"}},
	},

	// CANCEL.
	"cancel": {
		shows:   "CANCEL reaches the callee, 487 comes back, the proxy acknowledges it",
		callees: []party{callee("goser/uas_ring")},
		caller:  party{scenario: "siphon-rs/cancel"},
	},
	"cancel-tcp": {
		shows:   "the same over TCP",
		callees: []party{overTCP(callee("goser/uas_ring"))},
		caller:  overTCP(party{scenario: "siphon-rs/cancel"}),
	},
	"cancel-too-late": {
		shows:   "a 200 that crosses the CANCEL makes a call",
		callees: []party{callee("goser/uas_cancel_race")},
		caller:  party{scenario: "goser/uac_cancel_race"},
	},

	"cancel-after-the-answer": {
		shows:   "a CANCEL after the 200 is answered and changes nothing (RFC 3261 9.2)",
		callees: []party{callee("goser/uas_dialog")},
		caller:  party{scenario: "goser/uac_cancel_answered"},
	},

	// Several targets.
	"fork-parallel": {
		shows: "of two phones one answers, and the other is cancelled (RFC 3261 16.7 step 10)",
		callees: []party{
			{scenario: "goser/uas_ring", users: bob, sees: []string{`\nCANCEL `}},
			callee("siphon-rs/uas_invite"),
		},
		caller: party{scenario: "siphon-rs/forking_invite"},
	},
	"fork-by-q-and-Path": {
		shows:   "phones behind edge proxies, one after the other by q, each reached along its own Path (RFC 3327)",
		callees: []party{{scenario: "siphon-sip/failover_reject_uas"}, {scenario: "siphon-sip/failover_answer_uas"}},
		before: []party{
			{scenario: "siphon-sip/failover_register_path", args: []string{"-key", "regpath", "<sip:token-a@{callee0};lr>", "-key", "regq", "1.0"}},
			{scenario: "siphon-sip/failover_register_path", args: []string{"-key", "regpath", "<sip:token-b@{callee1};lr>", "-key", "regq", "0.5"}},
		},
		caller: party{scenario: "siphon-sip/failover_uac"},
	},
	"fork-one-after-the-other": {
		shows: "503, then 486, then the answer: three contacts by q",
		callees: []party{
			{scenario: "siphon-sip/failure_route_uas", users: bob, contact: "<sip:first@{addr}>;q=1.0, <sip:second@{addr}>;q=0.8, <sip:third@{addr}>;q=0.3"},
		},
		caller: party{scenario: "siphon-sip/failover_uac"},
	},

	// Refusals.
	"refuse-no-such-user": {
		shows:  "the server's own 404 has a To tag (RFC 3261 8.2.6.2)",
		caller: party{scenario: "siphon-sip/message_404_to_tag"}, service: "nobody",
	},
	"refuse-ACK-absorbed": {
		shows:  "the ACK for a 404 ends at the server",
		caller: party{scenario: "siphon-sip/ack_non2xx"}, service: "nobody",
	},
	"refuse-486": {
		shows:   "a 486 goes upstream as it is",
		callees: []party{answering(callee("goser/uas_reject"), "486")},
		caller:  party{scenario: "goser/uac_busy"},
	},
	"refuse-503": {
		shows:   "a 503 goes upstream as 500 (RFC 3261 16.7 step 6)",
		callees: []party{answering(callee("goser/uas_reject"), "503")},
		caller:  party{scenario: "goser/uac_no_service"},
	},
	"refuse-603": {
		shows:   "a 603 goes upstream as it is",
		callees: []party{answering(callee("goser/uas_reject"), "603")},
		caller:  party{scenario: "goser/uac_declined"},
	},
	"refuse-488": {
		shows:   "a 488 goes upstream; the server does not look at SDP",
		callees: []party{answering(callee("goser/uas_reject"), "488")},
		caller:  party{scenario: "siphon-rs/malformed_sdp"},
	},
	"refuse-transport-error": {
		shows:   "a callee who cannot be connected to is a 503, upstream a 500 (RFC 3261 16.9)",
		callees: []party{overTCP(party{users: bob})},
		caller:  party{scenario: "siphon-sip/transport_error_uac"},
	},

	// Max-Forwards.
	"max-forwards-0": {
		shows:   "483, although the callee is registered (RFC 3261 16.3)",
		callees: []party{{users: bob}},
		caller:  party{scenario: "siphon-sip/max_forwards_uac"},
	},
	"max-forwards-0-again": {
		shows:   "the same, another stack's scenario",
		callees: []party{{users: bob}},
		caller:  party{scenario: "siphon-rs/max_forwards_zero"},
	},
	"max-forwards-1": {
		shows:   "1 is forwarded as 0",
		callees: []party{{scenario: "siphon-rs/uas_invite", users: bob, sees: []string{`INVITE (?s:.*?)\nMax-Forwards: 0\r?\n`}}},
		caller:  party{scenario: "siphon-rs/max_forwards_edge_case"},
	},
	"max-forwards-2": {
		shows:   "2 is forwarded as 1",
		callees: []party{{scenario: "siphon-rs/uas_invite", users: bob, sees: []string{`INVITE (?s:.*?)\nMax-Forwards: 1\r?\n`}}},
		caller:  party{scenario: "siphon-rs/max_forwards_decrement"},
	},

	// Other requests.
	"message": {
		shows:   "MESSAGE (RFC 3428)",
		callees: []party{callee("siphon-sip/message_uas")},
		caller:  party{scenario: "siphon-sip/message"},
	},
	"message-tcp": {
		shows:   "the same over TCP",
		callees: []party{overTCP(callee("siphon-sip/message_uas"))},
		caller:  overTCP(party{scenario: "siphon-sip/message"}),
	},
	"message-siphon-rs": {
		shows:   "another stack's scenario",
		callees: []party{callee("siphon-sip/message_uas")},
		caller:  party{scenario: "siphon-rs/message"},
	},
	"message-slow": {
		shows:   "100 for a slow non-INVITE, after 3.5 s and not before (RFC 4320 4.2)",
		callees: []party{callee("siphon-sip/message_auto100_uas")},
		caller:  party{scenario: "siphon-sip/message_auto100"},
	},
	"message-large": {
		shows:   "what is larger than 1300 bytes goes over TCP (RFC 3261 18.1.1)",
		callees: []party{overTCP(party{scenario: "siphon-sip/message_uas"})},
		caller:  party{scenario: "siphon-sip/mtu_message_oversized", users: bob, contact: "<sip:{user}@{callee0}>"},
	},
	"message-large-udp-only": {
		shows:   "and over UDP if nobody listens there",
		callees: []party{{scenario: "siphon-sip/message_uas"}},
		caller:  party{scenario: "siphon-sip/mtu_message_oversized", users: bob, contact: "<sip:{user}@{callee0}>"},
	},
	"message-small": {
		shows:   "what is smaller goes over UDP",
		callees: []party{{scenario: "siphon-sip/message_uas"}},
		caller:  party{scenario: "siphon-sip/mtu_message_small", users: bob, contact: "<sip:{user}@{callee0}>"},
	},
	"notify": {
		shows:   "a NOTIFY outside a dialog",
		callees: []party{answering(callee("goser/uas_answer"), "200")},
		caller:  party{scenario: "siphon-sip/notify_uac"},
	},
	"options": {
		shows:  "OPTIONS to the server (RFC 3261 11)",
		caller: party{scenario: "siphon-sip/options"},
	},
	"options-user": {
		shows:   "OPTIONS to a user goes to his phone",
		callees: []party{answering(callee("goser/uas_answer"), "200")},
		caller:  party{scenario: "siphon-rs/options"},
	},
	"options-without-Max-Forwards": {
		shows:   "a missing Max-Forwards is no error",
		callees: []party{answering(callee("goser/uas_answer"), "200")},
		caller:  party{scenario: "drachtio/uac-options-expect-200"},
	},
	"unknown-method": {
		shows:   "a method that nobody knows is relayed, its 501 comes from the phone (RFC 3261 16.3)",
		callees: []party{answering(callee("goser/uas_answer"), "501")},
		caller:  party{scenario: "siphon-rs/unsupported_method"},
	},
	"info-out-of-dialog": {
		shows:   "INFO outside a dialog is the phone's to refuse",
		callees: []party{answering(callee("goser/uas_answer"), "481")},
		caller:  party{scenario: "siphon-rs/info_out_of_dialog"},
	},
	"update-out-of-dialog": {
		shows:   "so is UPDATE",
		callees: []party{answering(callee("goser/uas_answer"), "481")},
		caller:  party{scenario: "siphon-rs/update_out_of_dialog"},
	},

	// The relay.
	"relay-call": {
		shows:   "a call through examples/relay",
		example: "relay",
		callees: []party{{scenario: "siphon-sip/invite_uas"}},
		caller:  party{scenario: "siphon-sip/invite_uac"},
	},
	"relay-udp-to-tcp": {
		shows:   "the same with a next hop over TCP",
		example: "relay",
		callees: []party{overTCP(party{scenario: "siphon-sip/invite_uas"})},
		caller:  party{scenario: "siphon-sip/invite_uac"},
	},
	"relay-cancel": {
		shows:   "CANCEL through examples/relay",
		example: "relay",
		callees: []party{{scenario: "goser/uas_ring"}},
		caller:  party{scenario: "siphon-rs/cancel"},
	},
	"relay-486": {
		shows:   "a refusal through examples/relay",
		example: "relay",
		callees: []party{answering(party{scenario: "goser/uas_reject"}, "486")},
		caller:  party{scenario: "goser/uac_busy"},
	},
	"relay-stateless": {
		shows:   "a call through a stateless relay (RFC 3261 16.11)",
		example: "relay", server: []string{"-stateless"},
		callees: []party{{scenario: "siphon-sip/invite_uas"}},
		caller:  party{scenario: "siphon-sip/invite_uac"},
	},
	"relay-stateless-486": {
		shows:   "a refusal through a stateless relay, which relays its ACK too",
		example: "relay", server: []string{"-stateless"},
		callees: []party{answering(party{scenario: "goser/uas_reject"}, "486")},
		caller:  party{scenario: "goser/uac_busy"},
	},

	// The registrar.
	"register": {
		shows:  "a registration",
		caller: party{scenario: "siphon-rs/register"},
	},
	"register-tcp": {
		shows:  "over TCP",
		caller: overTCP(party{scenario: "siphon-rs/register"}),
	},
	"register-many": {
		shows:  "500 at 500 per second, none fails",
		caller: party{scenario: "siphon-rs/register"}, calls: 500, rate: 500,
	},
	"register-two-at-once": {
		shows:  "two Contact fields in one REGISTER",
		caller: party{scenario: "siphon-rs/register_multiple"},
	},
	"register-remove-all": {
		shows:  "Contact: * with Expires: 0 (RFC 3261 10.2.2)",
		caller: party{scenario: "siphon-rs/register_wildcard", users: bob},
	},
	"register-no-contact": {
		shows:  "a Contact that is no URI is a 400",
		caller: party{scenario: "drachtio/register-bad-contact"},
	},
}

package sip_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
)

// oracle is what kirm/sip.js makes of a message of RFC 4475.
type oracle struct {
	Method, URI, Reason, Content string
	Status                       int
	Headers                      map[string]json.RawMessage
}

type oracleAddress struct {
	Name   string
	URI    json.RawMessage // a text, or an object for Route
	Params map[string]*string
}

type oracleVia struct {
	Protocol, Host string
	Port           uint16
	Params         map[string]*string
}

// TestOracle compares the structure of RFC 4475's messages with what another parser makes of them.
func TestOracle(t *testing.T) {
	files, err := filepath.Glob("testdata/kirm/*.json")
	require.NoError(t, err)
	require.Len(t, files, 14)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			if name == "badcseq" {
				_, err := refused(t, read(t, "kirm", "badcseq.dat")) // it lets a CSeq without a number pass
				require.Equal(t, "Bad CSeq", err.Reason)
				return
			}
			var want oracle
			require.NoError(t, json.Unmarshal([]byte(read(t, "kirm", name+".json")), &want))
			switch name {
			case "dblreq":
				want.Content = "" // it keeps what comes after the body (RFC 3261 18.3: "MUST be discarded")
			case "esc02":
				// It takes "%" in a method for an escape, which RFC 4475 3.1.1.5 warns of.
				want.Method = "RE%47IST%45R"
				delete(want.Headers, "contact") // "This message has two Contact header field values, not three"
				want.Headers["cseq"] = json.RawMessage(`{"seq": 29344, "method": "RE%47IST%45R"}`)
			}
			checkOracle(t, want, parse(t, read(t, "rfc4475", name+".dat")))
		})
	}
}

func checkOracle(t *testing.T, want oracle, m *sip.Message) {
	require.Equal(t, want.Status, m.Status())
	require.Equal(t, want.Reason, m.ReasonPhrase())
	if want.Status == 0 {
		require.Equal(t, want.Method, string(m.Method()))
		require.Equal(t, want.URI, m.RequestURI().String())
	}
	if !strings.Contains(want.Content, "\ufffd") { // binary does not survive in JSON
		require.Equal(t, want.Content, m.Body())
	}
	for name, raw := range want.Headers {
		switch name {
		case "from":
			checkAddresses(t, "["+string(raw)+"]", []sip.NameAddr{m.From()})
		case "to":
			checkAddresses(t, "["+string(raw)+"]", []sip.NameAddr{m.To()})
		case "contact", "route":
			var got []sip.NameAddr
			for a, err := range m.Addresses(name) {
				require.NoError(t, err)
				got = append(got, a)
			}
			checkAddresses(t, string(raw), got)
		case "via":
			checkVias(t, raw, m)
		case "cseq":
			var cseq struct {
				Seq    uint32
				Method sip.Method
			}
			require.NoError(t, json.Unmarshal(raw, &cseq))
			require.Equal(t, sip.Sequence{Number: cseq.Seq, Method: cseq.Method}, m.CSeq())
		case "content-length":
			v, _, err := m.Uint(name)
			require.NoError(t, err)
			require.JSONEq(t, string(raw), string(must(json.Marshal(v))))
		default:
			var value string
			require.NoError(t, json.Unmarshal(raw, &value))
			require.Equal(t, strings.Join(strings.Fields(value), " "), strings.Join(strings.Fields(m.Get(name)), " "), name)
		}
	}
}

func checkAddresses(t *testing.T, raw string, got []sip.NameAddr) {
	var want []oracleAddress
	require.NoError(t, json.Unmarshal([]byte(raw), &want))
	require.Len(t, got, len(want))
	for i, w := range want {
		if w.Name != "" {
			a, err := sip.ParseNameAddr(w.Name + " <sip:a>")
			require.NoError(t, err)
			require.Equal(t, a.Display, got[i].Display)
		}
		var text string
		if json.Unmarshal(w.URI, &text) == nil {
			require.Equal(t, text, got[i].URI.String())
		} else {
			var u struct {
				Schema, Host string
				Params       map[string]*string
			}
			require.NoError(t, json.Unmarshal(w.URI, &u))
			require.Equal(t, [2]string{u.Schema, u.Host}, [2]string{got[i].URI.Scheme, got[i].URI.Host})
			checkParams(t, u.Params, got[i].URI.Params)
		}
		checkParams(t, w.Params, got[i].Params)
	}
}

func checkVias(t *testing.T, raw json.RawMessage, m *sip.Message) {
	var want []oracleVia
	require.NoError(t, json.Unmarshal(raw, &want))
	i := 0
	for v, err := range m.Vias() {
		require.NoError(t, err)
		require.Equal(t, [2]string{want[i].Protocol, want[i].Host}, [2]string{v.Transport, v.Host})
		require.Equal(t, want[i].Port, v.Port)
		checkParams(t, want[i].Params, v.Params)
		i++
	}
	require.Len(t, want, i)
}

// checkParams: null is a parameter without a value.
func checkParams(t *testing.T, want map[string]*string, got sip.Params) {
	n := 0
	for range got.All() {
		n++
	}
	require.Equal(t, len(want), n, "%s", got)
	for name, value := range want {
		v, ok := got.Get(name)
		require.True(t, ok, name)
		if value == nil {
			require.Empty(t, v)
		} else {
			unquoted, _ := sip.Params("x=" + *value).Get("x")
			require.Equal(t, unquoted, v)
		}
	}
}

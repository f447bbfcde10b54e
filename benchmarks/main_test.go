package main

import (
	"strings"
	"testing"
	"text/template"

	"github.com/stretchr/testify/require"
)

func TestFlags(t *testing.T) {
	o, err := parse(nil)
	require.NoError(t, err)
	require.Equal(t, 5, o.rounds)
	require.True(t, o.kamailio)
	o, err = parse([]string{"-cases", "relay,idle", "-kamailio=false", "-rate", "100"})
	require.NoError(t, err)
	require.Equal(t, []string{"relay", "idle"}, o.cases)
	require.False(t, o.kamailio)
	for _, args := range [][]string{{"relay"}, {"-rounds", "0"}, {"-port", "80"}, {"-rate", "-1"}} {
		_, err := parse(args)
		require.Error(t, err, "%v", args)
	}
}

func TestChoose(t *testing.T) {
	all := allCases(options{})
	chosen, err := choose(all, nil)
	require.NoError(t, err)
	require.Len(t, chosen, 8)
	chosen, err = choose(all, []string{"tcp", "relay"})
	require.NoError(t, err)
	require.Len(t, chosen, 2)
	_, err = choose(allCases(options{}), []string{"rely"})
	require.ErrorContains(t, err, "relay, stateless")
}

// Ratios name subjects that the case has.
func TestRatiosAreOfSubjects(t *testing.T) {
	for _, c := range allCases(options{}) {
		var names []string
		for _, s := range c.subjects {
			names = append(names, s.name)
		}
		for _, r := range c.ratios {
			require.Subset(t, names, r[:], c.name)
		}
	}
}

func TestKamailioConfig(t *testing.T) {
	config := func(name string, c kamailioConfig) string {
		parsed, err := template.ParseFS(testdata, "testdata/kamailio-listen.cfg", "testdata/"+name)
		require.NoError(t, err)
		var out strings.Builder
		require.NoError(t, parsed.ExecuteTemplate(&out, name, c))
		return out.String()
	}
	udp := config("kamailio-relay.cfg", kamailioConfig{Transport: "udp", Port: 15060, Callee: 15070})
	require.Contains(t, udp, "listen=udp:127.0.0.1:15060\ndisable_tcp=yes\nauto_aliases")
	require.Contains(t, udp, `$du = "sip:127.0.0.1:15070;transport=udp"`)
	tcp := config("kamailio-registrar.cfg", kamailioConfig{Transport: "tcp", Port: 15060, Connections: 20000})
	require.Contains(t, tcp, "listen=tcp:127.0.0.1:15060\ntcp_children=2\n")
	require.Contains(t, tcp, "\ntcp_max_connections=20000\nauto_aliases")
}

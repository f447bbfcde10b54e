package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStat(t *testing.T) {
	const text = "1272 (a) b (c)) S 1 1270 1264 0 -1 4194560 2036 0 0 0 151 49 0 0 20 0 7 0 14514 88 13 1\n"
	user, system, err := parseStat(text)
	require.NoError(t, err)
	require.Equal(t, 1510*time.Millisecond, user)
	require.Equal(t, 490*time.Millisecond, system)

	for _, bad := range []string{"", "1272 (a", "1272 (a) S 1 2 3", "1 (a) S 1 2 3 4 5 6 7 8 9 10 eleven 12 13"} {
		_, _, err := parseStat(bad)
		require.Error(t, err, "%q", bad)
	}
}

func TestPSS(t *testing.T) {
	n, err := parsePSS("55f000-7ffe ---p 00000000 00:00 0    [rollup]\nRss:    7004 kB\nPss:                2871 kB\nPss_Anon:   900 kB\n")
	require.NoError(t, err)
	require.Equal(t, 2871*1024, n)
	for _, bad := range []string{"", "Pss_Anon: 900 kB\n", "Pss: many kB\n"} {
		_, err := parsePSS(bad)
		require.Error(t, err, "%q", bad)
	}
}

func TestHasPort(t *testing.T) {
	const table = "   sl  local_address rem_address   st tx_queue rx_queue\n" +
		"    0: 0100007F:3AD4 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1\n" +
		"    1: 0100007F:3ADE 0100007F:3AD4 06 00000000:00000000 00:00000000 00000000     0        0 2 1\n"
	require.True(t, hasPort(table, true, 15060))
	require.False(t, hasPort(table, true, 15070), "a connection that has ended is not a listener")
	require.True(t, hasPort(table, false, 15070), "UDP knows no states")
	require.False(t, hasPort(table, true, 15061))
	require.False(t, hasPort("", true, 15060))
}

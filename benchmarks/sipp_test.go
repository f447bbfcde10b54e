package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSIPpStats(t *testing.T) {
	const names = "StartTime;SuccessfulCall(P);SuccessfulCall(C);FailedCall(P);FailedCall(C);Retransmissions(P);Retransmissions(C);\n"
	s, err := parseSIPpStats(names + "2026-01-02\t12:00:00;1;1;0;0;0;0;\n" + "2026-01-02\t12:00:09;1;11997;2;3;4;17;\n")
	require.NoError(t, err)
	require.Equal(t, sippStats{successful: 11997, retransmissions: 17}, s)

	for _, text := range []string{"", names, names + "2026-01-02;1;", "SuccessfulCall(C);FailedCall(C)\n1;2\n"} {
		_, err := parseSIPpStats(text)
		require.Error(t, err, "%q", text)
	}
}

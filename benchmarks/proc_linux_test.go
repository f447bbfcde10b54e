package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUsageOfThisProcess(t *testing.T) {
	u, err := usageOf(os.Getpid())
	require.NoError(t, err)
	require.Positive(t, u.pss)
	require.Contains(t, tree(os.Getppid()), os.Getpid())
}

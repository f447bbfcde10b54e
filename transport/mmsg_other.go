//go:build !linux

package transport

// newBatchReader returns how to read s, and how many slots that needs.
func newBatchReader(s *socket) (batchReader, int) { return newSingle(s) }

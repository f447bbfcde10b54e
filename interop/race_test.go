//go:build interop && race

package interop

const raceDetector = true

// Package transport moves messages over UDP and TCP.
package transport

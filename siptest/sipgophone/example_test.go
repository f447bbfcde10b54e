package sipgophone_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goser-project/goser/siptest"
	"github.com/goser-project/goser/siptest/sipgophone"
)

// call is the body of a test: one sipgo user agent calls another, which rings for a second.
func call(t *testing.T) {
	net := siptest.NewNetwork(siptest.Options{})
	alice := sipgophone.NewPhone(t, net.Host("alice", "10.0.0.1"), "sip:alice@example.org", sipgophone.Options{})
	bob := sipgophone.NewPhone(t, net.Host("bob", "10.0.0.2"), "sip:bob@example.org", sipgophone.Options{Answer: sipgophone.AnswerAfter(time.Second)})

	call, err := alice.Call(context.Background(), bob.Contact())
	if err != nil {
		t.Fatal(err)
	}
	if err := call.Hangup(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// A test is a function for synctest.Test, which gives it a clock of its own.
func Example() {
	var t *testing.T // of func TestCall(t *testing.T)
	synctest.Test(t, call)
}

func TestExample(t *testing.T) { synctest.Test(t, call) }

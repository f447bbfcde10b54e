package registrar

import (
	"context"
	"fmt"
	"testing"

	"github.com/goser-project/goser/sip"
)

// Run with: go test -run - -bench . -benchmem ./registrar

func benchmarkMessage(b *testing.B, user, cseq int) *sip.Message {
	return parse(b, registerText(fmt.Sprintf("<sip:user%07d@example.org>", user), fmt.Sprintf("%07d-31337@203.0.113.9", user), cseq,
		fmt.Sprintf("Contact: <sip:user%07d@203.0.113.9:40000;transport=UDP>;expires=3600", user),
		"User-Agent: Grandstream GXP2170 1.0.11.48", "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS", "Supported: path, outbound"))
}

// A new binding of a new address of record, from the parsed REGISTER to the 200 as it goes out.
func BenchmarkRegisterNew(b *testing.B) {
	reg := &Registrar{Store: newMemoryStore(b)}
	users := 0
	benchmarkAnswers(b, reg, func(messages []*sip.Message) {
		for i := range messages {
			messages[i] = benchmarkMessage(b, users, 1)
			users++
		}
	})
}

// The binding of one of 10,000 users once more.
func BenchmarkRegisterRefresh(b *testing.B) {
	const users = 10_000
	reg := &Registrar{Store: newMemoryStore(b)}
	sent := 0
	benchmarkAnswers(b, reg, func(messages []*sip.Message) {
		for i := range messages {
			messages[i] = benchmarkMessage(b, sent%users, 1+sent/users)
			sent++
		}
	})
}

// benchmarkAnswers measures the answers to messages, which fill makes by the batch.
func benchmarkAnswers(b *testing.B, reg *Registrar, fill func([]*sip.Message)) {
	messages, out := make([]*sip.Message, 1000), make([]byte, 0, 2048)
	ctx := context.Background()
	b.ReportAllocs()
	for i := range b.N {
		if i%len(messages) == 0 {
			b.StopTimer()
			fill(messages)
			b.StartTimer()
		}
		m := messages[i%len(messages)]
		res, err := reg.Answer(ctx, m, udpFlow)
		if err != nil || res.Status != sip.StatusOK {
			b.Fatal(res, err)
		}
		out = sip.AppendResponse(out[:0], m, res, "tag")
	}
}

// The bindings of one of n users: what a call costs.
func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprintf("AORs=%d", n), func(b *testing.B) {
			store := newMemoryStore(b)
			for i := range n {
				if err := set(store, typicalAOR(i), typicalBinding(i)); err != nil {
					b.Fatal(err)
				}
			}
			const asked = 1000
			keys := make([]string, asked)
			for i := range keys {
				keys[i] = typicalAOR(i * (n / asked))
			}
			var dst []Binding
			ctx := context.Background()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				var err error
				if dst, err = store.Lookup(ctx, keys[i%asked], dst[:0]); err != nil || len(dst) != 1 {
					b.Fatal(dst, err)
				}
				i++
			}
		})
	}
}

// Bytes per binding.
func BenchmarkMemory(b *testing.B) {
	store := newMemoryStore(b)
	before := heap()
	i := 0
	for b.Loop() {
		if err := set(store, typicalAOR(i), typicalBinding(i)); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(float64(heap()-before)/float64(i), "B/binding")
}

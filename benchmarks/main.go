// Benchmarks measures goser beside Kamailio and beside a proxy written with sipgo: the same load, in one run, in turn.
//
//	go run ./benchmarks                                 # all cases, five rounds: an hour and a half
//	go run ./benchmarks -cases relay,register -rounds 3
//	go run ./benchmarks -o BENCHMARKS.md                # what the repository shows
//
// It runs on Linux and needs the Debian packages sip-tester and kamailio; without Kamailio it compares with sipgo alone.
// Everything happens on 127.0.0.0/8, on UDP and TCP ports from -port on.
//
// # How to read the figures
//
// In each round every server is started anew, gets the load of the case, and is ended, one after the other, so that what
// else the machine does hits all of them. The tables hold medians over the rounds, behind the CPU figures the least and
// the greatest in parentheses: if these overlap between two rows, the difference is noise. Ratios are ratios of medians;
// below 1 is in favour of the first named. They are worth more than the figures themselves, which are those of one
// machine that also runs both ends of the load. Failed calls and retransmissions are summed over the rounds.
//
// CPU is that of all processes of a server, as the kernel accounts for it, from before the load until after its last
// call, divided by the calls. A call is an INVITE, 180, 200, ACK, BYE and 200; or one REGISTER and its 200. System is the
// time in the kernel, mostly the network's; it is charged to whoever makes the system call, thus part of it is work
// for the receiver. The servers are measured fresh, so the kernel's work for memory that is used for the first time is
// in it. What is sent again costs CPU as well: a row with many failed calls shows what the failing costs.
//
// Memory is PSS, which counts a page that several processes share once. Its growth during a case is what the server
// keeps of a call: over UDP the transactions of a call live for 32 seconds, so with fewer -seconds than that all of them
// are there when it is measured. Garbage that has not been collected is counted as well, as it is memory that cannot be
// used otherwise. Kernel memory, like the buffers of sockets, is not counted. Memory per binding and per connection is
// measured -settle after the load, when transactions have ended and garbage was collected.
//
// A call fails when a message does not come or comes in the wrong order: a 180 behind its 200 is a failure, and so is a
// BYE before its ACK.
//
// A live transaction is a server or a client transaction: a call that rings is two.
//
// What is compared is not the same in all respects. Kamailio runs its script with two worker processes; the proxy written
// with sipgo keeps bindings without their expiry, knows no timer C and forks to nobody. Each is configured to do this
// load and nothing else, see testdata and sipgoproxy.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	rounds, seconds, rate, count, port int

	cases           []string
	settle          time.Duration
	kamailio, sipgo bool
	output          string
}

func main() {
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	var names string
	f := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	f.IntVar(&o.rounds, "rounds", 5, "how often each server is measured; those that hold bindings or connections at most 3 times")
	f.StringVar(&names, "cases", "", "comma-separated `names` of cases (default: all)")
	f.IntVar(&o.seconds, "seconds", 6, "how long a load lasts")
	f.IntVar(&o.rate, "rate", 0, "calls per second instead of the cases' own")
	f.IntVar(&o.count, "count", 0, "bindings, connections or live transactions to hold, at most, instead of the cases' own")
	f.DurationVar(&o.settle, "settle", 3*time.Minute, "how long after the load the memory of bindings and connections is measured; with less\n"+
		"than 3m transactions and garbage are counted too")
	f.BoolVar(&o.kamailio, "kamailio", true, "measure Kamailio too")
	f.BoolVar(&o.sipgo, "sipgo", true, "measure the proxy written with sipgo too")
	f.IntVar(&o.port, "port", 15060, "first of the `ports` on 127.0.0.1: the server's; the called side is 10 above, the calling side 20")
	f.StringVar(&o.output, "o", "", "`file` to write the report to, as well")
	f.Usage = func() { help(f) }
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if names != "" {
		o.cases = strings.Split(names, ",")
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q, see -h", f.Arg(0))
	}
	if o.rounds < 1 || o.seconds < 1 || o.rate < 0 || o.count < 0 || o.port < 1024 || o.port > 65000 {
		return o, errors.New("-rounds and -seconds are at least 1, -rate and -count not negative, -port between 1024 and 65000")
	}
	return o, nil
}

func help(f *flag.FlagSet) {
	out := f.Output()
	fmt.Fprint(out, "Measures goser beside Kamailio and a proxy written with sipgo.\n\n  go run ./benchmarks [flags]\n\n"+
		"Needs the Debian packages sip-tester and kamailio; \"go doc ./benchmarks\" says how to read the figures.\n\nCases:\n")
	for _, c := range allCases(options{}) {
		fmt.Fprintf(out, "  %-10s %s\n", c.name, c.title)
	}
	fmt.Fprint(out, "\nFlags:\n")
	f.PrintDefaults()
}

func run(o options) error {
	if runtime.GOOS != "linux" {
		return errors.New("only Linux has the /proc that CPU and memory are read from")
	}
	chosen, err := choose(allCases(o), o.cases)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	l, err := newLab(ctx, o, chosen)
	if err != nil {
		return err
	}
	defer l.close()
	failed := false
	for i := range chosen {
		if err := chosen[i].run(ctx, l); err != nil {
			failed = true
			fmt.Fprintf(os.Stderr, "benchmarks: %s: %v\n", chosen[i].name, err)
		}
		if ctx.Err() != nil {
			break // what was measured until then is printed
		}
	}
	if err := publish(o, l.machine(), chosen); err != nil {
		return err
	}
	if failed {
		return errors.New("not all went well, see above")
	}
	return nil
}

func publish(o options, m machine, cases []benchCase) error {
	if !slices.ContainsFunc(cases, func(c benchCase) bool { return len(c.samples) > 0 }) {
		return errors.New("nothing was measured")
	}
	text := report(m, command(os.Args[1:]), time.Now(), cases)
	fmt.Print(text)
	if o.output == "" {
		return nil
	}
	return os.WriteFile(o.output, []byte(text), 0o666)
}

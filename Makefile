# goser. `make help` says what there is.

GO       ?= go
FUZZTIME ?= 30s
SOAK     ?= 200000

.NOTPARALLEL:
.PHONY: help test check unit soak fuzz interop bench

help:
	@echo 'make test      everything below, in this order; under 20 minutes on two cores'
	@echo 'make check     gofmt, go vet'
	@echo 'make unit      go test -race ./..., with a C compiler, which the race detector takes; installs gcc'
	@echo '               where it may (plain "go test ./..." needs no root and no packages)'
	@echo 'make soak      SOAK=$(SOAK) calls through a relay in memory: nothing of them stays'
	@echo 'make fuzz      every fuzz target for FUZZTIME=$(FUZZTIME) each'
	@echo 'make interop   the examples against SIPp, baresip and raw sockets; installs'
	@echo '               sip-tester and baresip-core where it may (root on Debian)'
	@echo 'make bench     not part of make test: goser beside Kamailio, if it is installed, and sipgo, with SIPp;'
	@echo '               more than an hour. BENCH="-cases relay -rounds 1" passes flags; -h lists them'

test: check unit soak fuzz interop

check:
	@echo '== gofmt'
	@files=$$(gofmt -l .); test -z "$$files" || { echo "not formatted:"; echo "$$files"; exit 1; }
	@echo '== go vet'
	$(GO) vet ./...
	$(GO) vet -tags interop ./interop/...

unit:
	@echo '== unit tests'
	$(GO) test $$(GO='$(GO)' scripts/race) ./...

soak: # without the race detector, which takes four times as long; make unit has run a tenth of it with
	@echo '== soak: $(SOAK) calls'
	GOSER_SOAK=$(SOAK) $(GO) test -count=1 -run '^TestSoak$$' -timeout 15m ./hostile

fuzz:
	@GO='$(GO)' scripts/fuzz '$(FUZZTIME)'

interop:
	@GO='$(GO)' scripts/interop

bench:
	@echo '== benchmarks'
	@scripts/need sipp sip-tester
	$(GO) run ./benchmarks $(BENCH)

# weir: every task has one word. `make` or `make help` lists them.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-builtin-rules

GO       ?= go
BIN      := bin/weir
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT   ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)
FUZZTIME ?= 30s
E2E      := ./cmd/weir/... $(if $(wildcard test),./test/...)

.PHONY: help
help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## build bin/weir (static, no cgo)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/weir

.PHONY: deps
deps: ## install the Debian packages that tests use, those that are missing (needs root)
	@.ci/deps test

.PHONY: test
test: deps ## run every test; sets up what it needs on a bare machine with Go
	$(GO) test ./...

.PHONY: race
race: ## run the tests under the race detector, in random order, but for those of the built binary (needs a C compiler)
	@.ci/deps race
	$(GO) test -race -shuffle=on $$($(GO) list ./... | grep -v '^weir/test')

.PHONY: e2e
e2e: deps ## run the black-box tests of the built binary
	$(GO) test -count=1 $(E2E)

.PHONY: fuzz
fuzz: ## fuzz every target for FUZZTIME (30s), or those of PKG
	@GO='$(GO)' .ci/fuzz $(FUZZTIME) $(PKG)

.PHONY: bench
bench: build ## compare weir with haproxy and nginx: CPU per request, latency; BENCHFLAGS are passed on
	$(GO) run ./bench/compare $(BENCHFLAGS)

.PHONY: bench-deps
bench-deps: ## install the proxies that bench compares with (needs root)
	@.ci/deps bench

.PHONY: microbench
microbench: ## run the Go benchmarks once, with allocations
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: demo
demo: build ## run weir with three backends and traffic, all in one process
	$(BIN) demo

.PHONY: simulate
simulate: build ## show what the policies of examples/web.yaml would do; CONFIG, SIMFLAGS
	$(BIN) simulate -c $(or $(CONFIG),examples/web.yaml) $(SIMFLAGS)

.PHONY: fmt
fmt: ## format the code
	gofmt -s -w .

.PHONY: fmt-check
fmt-check: ## fail if some file is not formatted
	@if ! diff=$$(gofmt -s -d .) || [ -n "$$diff" ]; then \
		echo "$$diff"; echo "not formatted: run 'make fmt'"; exit 1; fi

.PHONY: vet
vet: ## go vet
	$(GO) vet ./...

.PHONY: lint
lint: ## staticcheck, pinned in tools.mod
	$(GO) tool -modfile=tools.mod staticcheck ./...

.PHONY: arch
arch: ## check import rules, package docs and the list of dependencies
	$(GO) test -count=1 .

.PHONY: tidy-check
tidy-check: ## fail if go.mod or go.sum are not tidy
	$(GO) mod tidy -diff

.PHONY: docs
docs: ## regenerate docs/cli.md, docs/config.md, docs/api.md and the description of the API
	$(GO) test -count=1 -run '^Test(Reference|CLIReference|OpenAPIIsMade)' ./api ./config ./cmd/weir -update

.PHONY: docs-check
docs-check: ## fail if the generated pages are out of date
	$(GO) test -count=1 -run '^Test(Reference|CLIReference|OpenAPIIsMade)' ./api ./config ./cmd/weir

.PHONY: check
check: fmt-check vet lint arch tidy-check docs-check race ## all that a change must pass

.PHONY: cover
cover: deps ## test coverage, as bin/cover.html
	@mkdir -p bin
	$(GO) test -coverprofile=bin/cover.out -coverpkg=./... ./...
	$(GO) tool cover -html=bin/cover.out -o bin/cover.html
	@$(GO) tool cover -func=bin/cover.out | tail -1

.PHONY: ci
ci: ## run what CI runs
	.ci/run

.PHONY: clean
clean: ## remove what the tasks made
	rm -rf bin dist

# Everything one does with this repository. `make help` lists it.

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# The OpenAPI documents that some tests compare with, where they are at hand.
SPECS   := $(wildcard $(abspath ../shared/specs))
TOOL    := go tool -modfile=tools/go.mod

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 20

.PHONY: quickstart
quickstart: build ## walk through the whole story on a throw-away service
	@bin/latchkey quickstart

.PHONY: build
build: ## build bin/latchkey, one static binary
	@CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/latchkey ./cmd/latchkey

.PHONY: test
test: ## install what the tests need and run every test
	@race=$$(tools/prepare packages) && az=$$(tools/prepare az) && \
		LATCHKEY_AZ="$$az" LATCHKEY_SPECS="$(SPECS)" go test $$race -timeout 30m ./...
	@cd compat && go test -count=1 ./...

.PHONY: check
check: ## format, vet, staticcheck, floors, and every test
	@unformatted=$$($(TOOL) gofumpt -l $$(git ls-files --cached --others --exclude-standard '*.go')) && \
		if [ -n "$$unformatted" ]; then echo "not as gofumpt writes it:"; echo "$$unformatted"; exit 1; fi
	@go vet ./...
	@$(TOOL) staticcheck ./...
	@$(MAKE) --no-print-directory test

.PHONY: bench
bench: ## run the benchmarks
	@go test -run '^$$' -bench . -benchmem ./...

# Laterna: see README.md for what it is and `make help` for what can be made.

SHELL       := /bin/bash -o pipefail
GO          ?= go
export CGO_ENABLED ?= 0
# One set of flags for all that is compiled, so that every dependency is compiled once.
export GOFLAGS := $(strip $(filter-out -trimpath,$(shell $(GO) env GOFLAGS)) -trimpath)
# Tests use the kubectl that is built here, whether or not the machine has another.
export PATH := $(CURDIR)/bin:$(PATH)

VERSION     := $(shell sed -n 's/^## \([0-9][^ ]*\).*/\1/p' CHANGELOG.md | head -n 1)
COMMIT      := $(shell git rev-parse --short=12 HEAD 2>/dev/null)
# The commit's date, so that the same commit builds the same bytes.
DATE        := $(shell TZ=UTC git log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ 2>/dev/null)
LDFLAGS     := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE) \
               -X k8s.io/client-go/pkg/version.gitVersion=v$(VERSION) -X k8s.io/client-go/pkg/version.gitCommit=$(COMMIT)
KUBECTL_LD  := -s -w -X k8s.io/component-base/version.gitVersion=v1.37.2 -X k8s.io/component-base/version.gitMajor=1 \
               -X k8s.io/component-base/version.gitMinor=37 -X k8s.io/component-base/version.gitCommit=$(COMMIT) \
               -X k8s.io/client-go/pkg/version.gitVersion=v1.37.2 -X k8s.io/client-go/pkg/version.gitCommit=$(COMMIT)

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

.PHONY: go
go:
	@GO=$(GO) scripts/go.sh

.PHONY: build
build: go ## bin/laterna and bin/kubectl
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/laterna ./cmd/laterna
	$(GO) build -ldflags '$(KUBECTL_LD)' -o bin/kubectl ./cmd/kubectl

.PHONY: deps
deps: ## install the system packages whose programs are missing
	@scripts/deps.sh run

.PHONY: test-deps
test-deps:
	@scripts/deps.sh test
	@scripts/npm.sh

.PHONY: up
up: go deps build ## install what is missing, build, start the whole system in the background
	@scripts/up.sh

.PHONY: down
down: ## stop what `make up` started (both use $LATERNA_DATA_DIR where it is set)
	$(if $(filter 0,$(shell id -u)),,sudo )bin/laterna down --data-dir "$${LATERNA_DATA_DIR:-/var/lib/laterna}"

.PHONY: images
images: ## the test images as archives under build/images
	@scripts/deps.sh images
	$(GO) run ./test/images -o build/images

.PHONY: lint
lint: ## formatting, vet, the rules of the house
	@files=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$files" ]; then echo "not gofmt-ed:"; echo "$$files"; exit 1; fi
	$(GO) vet ./...
	for module in test/tools/go.mod test/tools/*/go.mod; do (cd "$${module%/go.mod}" && $(GO) vet ./...) || exit; done
	@scripts/platforms.sh
	$(GO) test ./internal/arch

.PHONY: test
test: test-deps build images ## everything the tests need, then all of them with reduced counts
	@scripts/test.sh

.PHONY: soak
soak: test-deps build images ## the long forms of the same tests
	LATERNA_SOAK=1 $(GO) test -count=1 -timeout 180m ./projection/atomicdir ./internal/etcd ./test/compat
	LATERNA_SOAK=1 $(GO) test -count=1 -timeout 30m -run TestManyElements ./internal/apiserver

.PHONY: bench
bench: test-deps build images ## the benchmark suite as one table
	$(GO) run ./test/bench -programs bin

.PHONY: install
# What is built is not built again: root's PATH may have no Go.
install: $(if $(wildcard bin/laterna),,build) ## bin/laterna and a systemd unit below $(PREFIX)
	install -D -m 0755 bin/laterna $(DESTDIR)$(PREFIX)/bin/laterna
	sed 's|@bin@|$(PREFIX)/bin|' scripts/laterna.service | install -D -m 0644 /dev/stdin $(DESTDIR)$(PREFIX)/lib/systemd/system/laterna.service

PREFIX ?= /usr/local

.PHONY: pages
pages: ## the parts of docs that are made from the code
	LATERNA_WRITE_PAGES=1 $(GO) test -count=1 -run 'TestPageOf|TestReferenceOf' ./internal/podfields ./internal/app/... ./internal/cli

.PHONY: picture
picture: build images ## the README's picture of a terminal, from a run on this machine
	$(GO) run ./test/picture

.PHONY: generate
generate: ## the generated code
	$(GO) generate ./internal/generated/...

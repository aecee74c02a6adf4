# Hull: every target does its own set-up, and leaves the checkout clean.
export CGO_ENABLED := 0
export GOFLAGS := -buildvcs=false

PREFIX  ?= /usr/local
UNITDIR ?= /etc/systemd/system
VERSION := $(shell cat VERSION)
LDFLAGS := -s -w -X main.version=$(VERSION)
TOOLBOX := internal/assets/toolbox.tar

.PHONY: help build demo test test-vm race lint leaks install uninstall bench clean

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: $(TOOLBOX) ## bin/hull, bin/hulld and bin/hull-keeper
	go build -trimpath -tags toolbox -ldflags '$(LDFLAGS)' -o bin/ ./cmd/hull ./cmd/hulld ./cmd/hull-keeper

$(TOOLBOX): $(shell find cmd/toolbox internal/assets/mkimage -name '*.go' -o -name '*.bin') go.mod
	go run ./internal/assets/mkimage -o $@

demo: build ## run a Pod of two containers, look at it, remove it
	@scripts/demo

test: build ## every test; those that make Pods need root
	@scripts/setup test
	HULL_BIN=$(CURDIR)/bin go test -tags toolbox ./...

race: build ## the tests under the race detector, and hulld too
	@scripts/setup test
	mkdir -p bin/race && cp bin/hull bin/hull-keeper bin/race/
	CGO_ENABLED=1 go build -race -tags toolbox,osusergo,netgo -ldflags '-X main.version=$(VERSION)' -o bin/race/ ./cmd/hulld
	CGO_ENABLED=1 HULL_BIN=$(CURDIR)/bin/race go test -race -tags toolbox ./...

lint: $(TOOLBOX) ## gofmt, go vet, staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	go vet -tags toolbox ./internal/assets
	go tool staticcheck ./...

test-vm: ## the systemd unit and the kernel's side on Linux 6.1 and cgroup v2, in qemu (minutes, as root)
	@scripts/test-vm

leaks: ## fail if Hull has left anything in the kernel
	@scripts/leaks

bench: build ## compare with runc and podman, where they are installed
	@scripts/setup bench
	go run ./bench

install: build ## binaries and systemd units
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/bin bin/hull bin/hulld bin/hull-keeper
	install -d $(DESTDIR)$(UNITDIR)
	for unit in hull hull-shutdown; do \
	  sed 's|@BINDIR@|$(PREFIX)/bin|' dist/$$unit.service > $(DESTDIR)$(UNITDIR)/$$unit.service || exit; \
	done

uninstall: ## what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/hull $(DESTDIR)$(PREFIX)/bin/hulld $(DESTDIR)$(PREFIX)/bin/hull-keeper $(DESTDIR)$(UNITDIR)/hull.service $(DESTDIR)$(UNITDIR)/hull-shutdown.service

clean: ## remove what build made
	rm -rf bin $(TOOLBOX) internal/assets/toolbox.digest

# The front door of monday for a person. `make` alone says what there is.

CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
# How long `make demo` runs; empty: until Ctrl-C. Anything that sleep(1) takes, such as 20s.
DEMO_FOR ?=

# What `make peers` installs, and where.
PEERS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/monday-bench
TOXIPROXY := v2.12.0
WATCHEXEC := 2.8.0
HONCHO := 2.0.0

TARGET := $(or $(CARGO_TARGET_DIR),target)
RELEASE := $(TARGET)/release
# The agent's image, as monday-fwd expects it by itself: a name that nobody can own. Its archive.
IMAGE ?= monday.internal/agent:$(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
IMAGE_OUT ?= $(TARGET)/monday-agent.tar
EXECUTABLES := monday-supervisor monday-run monday-watch monday-fwd monday-ipalias monday-tcpproxy

SHARE := $(DESTDIR)$(PREFIX)/share
MAN := $(SHARE)/man/man1
BASH_COMPLETIONS := $(SHARE)/bash-completion/completions
ZSH_COMPLETIONS := $(SHARE)/zsh/site-functions
FISH_COMPLETIONS := $(SHARE)/fish/vendor_completions.d

.DEFAULT_GOAL := help
.PHONY: help demo build image test lint bench peers install uninstall clean

help: ## Show what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build every executable into target/release
	$(CARGO) build --release --workspace --bins

image: ## Write the image of the agent of kubernetes-remote into IMAGE_OUT (default: target/monday-agent.tar), without Docker
	$(CARGO) rustc --release --quiet -p monday-agent --bin monday-agent -- -C target-feature=+crt-static
	bins/monday-agent/archive $(IMAGE) /monday-agent $(RELEASE)/monday-agent $(IMAGE_OUT) 65532:65532
	@echo "$(IMAGE) is in $(IMAGE_OUT)"

demo: ## Run the demo project: two services and a proxy, no root needed (DEMO_FOR=20s ends it by itself)
	@$(CARGO) build --quiet --release --bins -p monday-supervisor -p monday-run -p monday-ipalias -p monday-tcpproxy
	@$(CARGO) build --quiet --release -p monday-supervisor --example demo
	@DEMO_PROGRAM="$(abspath $(RELEASE))/examples/demo" exec $(RELEASE)/monday-supervisor run demo --escalate none \
		--config supervisor/examples/demo/monday.yaml $(if $(DEMO_FOR),-- sleep $(DEMO_FOR))

test: ## Run all tests
	$(CARGO) build --workspace --bins --examples
	$(CARGO) test --workspace

lint: ## Check formatting, lints and documentation, warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items

bench: ## Measure the relay, processes, the configuration's reader, forwards over SSH and to pods, each beside what others use
	$(CARGO) build --release --workspace --bins
	for part in relay processes ssh config kubernetes; do \
		PATH="$(PEERS)/bin:$$PATH" $(RELEASE)/monday-bench $$part || exit; \
	done

peers: ## Install what bench compares with and Debian does not have (Go, Rust and Python needed) into PEERS (default ~/.cache/monday-bench)
	GOBIN="$(abspath $(PEERS))/go" go install github.com/Shopify/toxiproxy/v2/cmd/server@$(TOXIPROXY)
	$(CARGO) install --locked --root "$(abspath $(PEERS))" watchexec-cli@$(WATCHEXEC)
	python3 -m venv "$(PEERS)/honcho" && "$(PEERS)/honcho/bin/pip" install --quiet honcho==$(HONCHO)
	ln -sf ../go/server "$(PEERS)/bin/toxiproxy-server"
	ln -sf ../honcho/bin/honcho "$(PEERS)/bin/honcho"

install: build ## Install executables, manual pages and completions into PREFIX (default /usr/local), below DESTDIR
	install -d "$(DESTDIR)$(PREFIX)/bin"
	install -m 755 $(addprefix $(RELEASE)/,$(EXECUTABLES)) "$(DESTDIR)$(PREFIX)/bin"
	install -d $(foreach folder,$(MAN) $(BASH_COMPLETIONS) $(ZSH_COMPLETIONS) $(FISH_COMPLETIONS),"$(folder)")
	@set -e; PATH="$(abspath $(RELEASE)):$$PATH"; for executable in $(EXECUTABLES); do \
		for page in $$($$executable --man-pages); do $$executable --man-page $$page > "$(MAN)/$$page.1"; done; \
		MONDAY_COMPLETE=bash $$executable > "$(BASH_COMPLETIONS)/$$executable"; \
		MONDAY_COMPLETE=zsh $$executable > "$(ZSH_COMPLETIONS)/_$$executable"; \
		MONDAY_COMPLETE=fish $$executable > "$(FISH_COMPLETIONS)/$$executable.fish"; \
	done

uninstall: ## Remove what install put there
	rm -f $(addprefix "$(DESTDIR)$(PREFIX)/bin"/,$(EXECUTABLES))
	rm -f $(foreach it,$(EXECUTABLES),"$(MAN)/$(it).1" "$(MAN)/$(it)"-*.1 "$(BASH_COMPLETIONS)/$(it)" "$(ZSH_COMPLETIONS)/_$(it)" "$(FISH_COMPLETIONS)/$(it).fish")

clean: ## Remove what was built
	$(CARGO) clean

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"latchkey/server"
)

var upCommand = command{
	name:  "up",
	short: "start the service on this machine",
	long: `
Starts everything on the loopback interface, with its data in one directory. The
first start makes a certificate authority, the root keys, a tenant, a subscription
and an application with a secret that owns it; later starts find them again.

Says where everything is when it is ready, and runs until Ctrl-C or SIGTERM. The log
goes to standard error. Programs reach the service by: latchkey exec -- COMMAND`,
	flags: upFlags,
}

func upFlags(fs *flag.FlagSet) action {
	var cfg server.Config
	dataFlag(fs, &cfg.Data)
	fs.StringVar(&cfg.Listen, "listen", server.DefaultListen, "`ADDRESS` of the HTTPS listener; port 0 takes a free one")
	fs.StringVar(&cfg.Proxy, "proxy", server.DefaultProxy, "`ADDRESS` of the proxy that leads the cloud's names here")
	fs.StringVar(&cfg.Portal, "portal", server.DefaultPortal, "`ADDRESS` of the portal, in plain HTTP")
	cloud := fs.String("cloud", "azure", "whose names to answer for: azure, or the `DOMAIN` of a cloud of one's own")
	fs.DurationVar(&cfg.CheckInterval, "check-interval", server.DefaultCheckInterval, "how `LONG` between two questions to a vault whether its owner still agrees")
	fs.DurationVar(&cfg.OutageGrace, "outage-grace", server.DefaultOutageGrace, "how `LONG` an account goes on while its vault cannot be reached")
	format := fs.String("log-format", "text", "`FORMAT` of the log: text or json")
	readyFile := fs.String("ready-file", "", "write where everything is to this `FILE`, as JSON, once it is ready")
	return func(ctx context.Context, std stdio, args []string) error {
		if err := none(args); err != nil {
			return err
		}
		for _, addr := range []struct{ flag, value string }{{"listen", cfg.Listen}, {"proxy", cfg.Proxy}, {"portal", cfg.Portal}} {
			if err := server.CheckLoopback(addr.value); err != nil {
				return usage("--%s: %w", addr.flag, err)
			}
		}
		if cfg.CheckInterval <= 0 {
			return usage("--check-interval: %s is not a positive time", cfg.CheckInterval)
		}
		if cfg.OutageGrace <= 0 {
			return usage("--outage-grace: %s is not a positive time", cfg.OutageGrace)
		}
		var err error
		if cfg.Cloud, err = server.ParseCloud(*cloud); err != nil {
			return usage("--cloud: %w", err)
		}
		if cfg.Logger, err = newLogger(std.err, *format); err != nil {
			return err
		}
		if cfg.Data, err = dataDir(cfg.Data); err != nil {
			return err
		}
		cfg.Version = version
		return up(ctx, std, cfg, *readyFile)
	}
}

func newLogger(w io.Writer, format string) (*slog.Logger, error) {
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, nil)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, nil)), nil
	}
	return nil, usage("--log-format: %q is neither text nor json", format)
}

// up runs the service until a signal or ctx ends it.
func up(ctx context.Context, std stdio, cfg server.Config, readyFile string) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The second signal ends the program the hard way.
	context.AfterFunc(ctx, func() {
		cfg.Logger.Info("stopping")
		stop()
	})
	s, err := server.New(cfg)
	if err != nil {
		return err
	}
	// Whoever waits for the ready file must not find the one of a killed service;
	// that of a running one is not ours to take away.
	var free *server.NotRunningError
	if _, err := server.Running(cfg.Data); readyFile != "" && errors.As(err, &free) {
		os.Remove(readyFile)
	}
	err = s.Run(ctx, func(info server.Info) error {
		if readyFile != "" {
			if err := server.WriteInfo(readyFile, info); err != nil {
				return err
			}
			context.AfterFunc(ctx, func() { os.Remove(readyFile) })
		}
		printReady(std.out, info)
		return nil
	})
	return explainStart(err)
}

// explainStart adds what to do about the failures that everybody meets.
func explainStart(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w; choose other ports with --listen, --proxy and --portal, port 0 for any free one", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; choose another directory with --data", err)
	}
	return err
}

// printReady tells where everything is and what to type next.
func printReady(w io.Writer, info server.Info) {
	self := "latchkey"
	if len(os.Args) > 0 && os.Args[0] != "" {
		self = quoteSh(os.Args[0])
	}
	flags := ""
	if dir, err := dataDir(os.Getenv("LATCHKEY_DATA")); err != nil || dir != info.Data {
		flags = " --data " + quoteSh(info.Data)
	}
	cloud := "Azure's own names"
	if info.Cloud != "azure" {
		cloud = "the names of " + info.Cloud
	}
	fmt.Fprintf(w, "Latchkey is ready after %s, answering for %s.\n\n", time.Duration(info.StartedMS)*time.Millisecond, cloud)
	row := func(name, value string) { fmt.Fprintf(w, "  %-14s%s\n", name, value) }
	row("HTTPS", "https://"+info.Listen)
	row("Proxy", "http://"+info.Proxy)
	row("Portal", "http://"+info.Portal)
	row("Data", info.Data)
	row("Tenant", info.TenantID)
	row("Subscription", info.SubscriptionID)
	row("Application", info.ClientID)
	row("Its secret", "in "+info.SecretFile)
	for i, sentence := range info.Isolation {
		name := ""
		if i == 0 {
			name = "Tasks"
		}
		row(name, sentence)
	}
	run := func(line string) { fmt.Fprintf(w, "  %s\n", line) }
	fmt.Fprint(w, "\nWhat to type next, in another terminal:\n\n")
	run(self + " exec" + flags + ` -- sh -c 'az login --service-principal -u "$AZURE_CLIENT_ID" -p "$AZURE_CLIENT_SECRET" -t "$AZURE_TENANT_ID"'`)
	run(self + " exec" + flags + " -- az group create -n first -l westeurope")
	fmt.Fprint(w, "\nOr for a whole shell, Terraform and every SDK:\n\n")
	run(`eval "$(` + self + " env" + flags + `)"`)
	fmt.Fprint(w, "\nCtrl-C stops the service.\n")
}

func dataFlag(fs *flag.FlagSet, into *string) {
	fs.StringVar(into, "data", "", "data `DIR`ectory; unless given, $XDG_DATA_HOME/latchkey or ~/.local/share/latchkey, for root /var/lib/latchkey")
}

// dataDir returns the data directory meant by --data.
func dataDir(given string) (string, error) {
	if given == "" {
		return server.DefaultData()
	}
	return filepath.Abs(given)
}

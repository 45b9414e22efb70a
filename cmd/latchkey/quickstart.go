package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"latchkey/client"
	"latchkey/server"
)

var quickstartCommand = command{
	name:  "quickstart",
	short: "walk through the whole story on a service of its own",
	long: `
Starts a service and walks through what it is for, as a program outside that knows
Azure's public protocols and nothing else: a Batch account whose key lies in a
customer's vault, tasks that count the words of a book, a new key version while they
run, the key taken away and given back, the account deleted. Every step is checked and
timed; the exit status is 1 if one of them fails.

Without --data the service has a directory of its own below the system's temporary
one, which is removed at the end, unless --keep is given or a step fails. The
directory of --data is never removed.`,
	flags: func(fs *flag.FlagSet) action {
		data := fs.String("data", "", "data `DIR`ectory of the service; unless given, a new one that is removed at the end")
		keep := fs.Bool("keep", false, "keep the data directory and say where it is")
		return func(ctx context.Context, std stdio, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
			defer stop()
			return quickstart(ctx, newScreen(std.out), *data, *keep)
		}
	},
}

// quickstart starts a service, tells the story, and leaves nothing behind that it was
// not asked to.
func quickstart(ctx context.Context, sc *screen, data string, keep bool) (failed error) {
	began := time.Now()
	scratch, err := os.MkdirTemp("", "latchkey-quickstart-")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	thrown := data == ""
	if thrown {
		data = filepath.Join(scratch, "data")
		// For root, tasks run as users of their own and must be able to walk down to
		// their node's disk.
		if err := os.Chmod(scratch, 0o711); err != nil {
			return fmt.Errorf("making a directory: %w", err)
		}
	} else if data, err = filepath.Abs(data); err != nil {
		return err
	}
	defer func() {
		switch {
		case failed != nil:
			sc.say("\nWhat the service wrote is kept for a look: %s", scratch)
			return
		case !thrown:
			sc.say("The data directory is as the story left it: %s", data)
		case keep:
			sc.say("The data directory is kept: %s\nStart a service on it with: latchkey up --data %s", data, quoteSh(data))
			return
		}
		if err := os.RemoveAll(scratch); err != nil {
			failed = fmt.Errorf("tidying up: %w", err)
		}
	}()

	sc.say("Latchkey: a Batch account whose key you hold, running real tasks.\n")
	sc.doing("starting a service")
	service, err := startTrial(ctx, data, scratch)
	if err != nil {
		sc.failed("a service started")
		return err
	}
	sc.done("a service started", "on "+data, service.ready)
	sc.show("the service is ready after the start of its process", short(service.ready))

	story, err := newStory(service, sc)
	if err == nil {
		err = story.tell(ctx)
		story.close()
	}
	// However the story went, the service must stop as it promises.
	stopping := time.Now()
	if stopErr := service.stop(); stopErr != nil {
		return errors.Join(err, stopErr)
	}
	if err != nil {
		return err
	}
	sc.done("the service stopped", "", time.Since(stopping))
	sc.show("the service stops", short(time.Since(stopping)))
	sc.show("everything", short(time.Since(began)))
	sc.table()
	return nil
}

// newStory prepares the story on a service that runs.
func newStory(service *trial, sc *screen) (*story, error) {
	creds, err := server.Layout(service.info.Data).Credentials()
	if err != nil {
		return nil, err
	}
	cloud, err := server.ParseCloud(service.info.Cloud)
	if err != nil {
		return nil, err
	}
	c, err := client.New(client.Config{
		Proxy: service.info.Proxy, CAFile: service.info.CAFile, Login: service.info.Endpoints.Login,
		TenantID: creds.TenantID, ClientID: creds.ClientID, Secret: creds.ClientSecret,
	})
	if err != nil {
		return nil, err
	}
	s := &story{Client: c, screen: sc, service: service, cloud: cloud, creds: creds}
	s.name()
	return s, nil
}

// sleep waits, unless ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

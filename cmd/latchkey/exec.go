package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"latchkey/server"
)

// What a shell answers for a command that is not there and one that cannot be run.
const (
	statusNotFound = 127
	statusCannot   = 126
)

var execCommand = command{
	name:  "exec",
	args:  "-- COMMAND [ARGUMENT…]",
	short: "run a command whose Azure is the service",
	long: `
Runs any command in an environment in which the cloud's names lead to the service
that runs on the data directory: its proxy, its certificate authority beside the
system's roots, and credentials of its first application. The command takes the place
of latchkey, so its exit status and signals are its own.

With --identity it gets no secret but the endpoint of a user-assigned managed
identity, named by name, resource id or client id.`,
	flags: func(fs *flag.FlagSet) action {
		var who clientFlags
		who.declare(fs)
		return func(ctx context.Context, _ stdio, args []string) error {
			if len(args) == 0 {
				return usage("no command to run; put it behind --")
			}
			changes, err := who.environment(ctx)
			if err != nil {
				return err
			}
			return replaceBy(args, changed(os.Environ(), changes))
		}
	},
}

// clientFlags are what exec and env have in common.
type clientFlags struct{ data, identity string }

func (c *clientFlags) declare(fs *flag.FlagSet) {
	dataFlag(fs, &c.data)
	fs.StringVar(&c.identity, "identity", "", "`NAME`, resource id or client id of a user-assigned identity to be, instead of the application")
}

// environment asks the running service what to change in the environment.
func (c *clientFlags) environment(ctx context.Context) ([]server.Variable, error) {
	dir, err := dataDir(c.data)
	if err != nil {
		return nil, err
	}
	info, err := server.Running(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%w; only the user who runs the service may use its data directory", err)
	}
	if err != nil {
		return nil, err
	}
	var id *server.Identity
	if c.identity != "" {
		if id, err = askIdentity(ctx, info, c.identity); err != nil {
			return nil, fmt.Errorf("becoming identity %q: %w", c.identity, err)
		}
	}
	return info.Environment(id, os.LookupEnv)
}

// askIdentity asks the service for the endpoint of a managed identity, by right of
// the first application's secret.
func askIdentity(ctx context.Context, info server.Info, name string) (*server.Identity, error) {
	creds, err := server.Layout(info.Data).Credentials()
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]string{"identity": name})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+info.Portal+"/local/identity", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+creds.ClientSecret)
	// On loopback, whatever proxy the environment names.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		var failure struct {
			Error struct{ Code, Message string }
		}
		if json.Unmarshal(answer, &failure) == nil && failure.Error.Message != "" {
			return nil, errors.New(failure.Error.Message)
		}
		return nil, fmt.Errorf("the service answered %s", resp.Status)
	}
	var id server.Identity
	if err := json.Unmarshal(answer, &id); err != nil {
		return nil, fmt.Errorf("reading the service's answer: %w", err)
	}
	return &id, nil
}

// changed returns an environment with changes made to it.
func changed(environ []string, changes []server.Variable) []string {
	touched := map[string]bool{}
	for _, v := range changes {
		touched[v.Name] = true
	}
	out := slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return touched[name]
	})
	for _, v := range changes {
		if !v.Unset {
			out = append(out, v.Name+"="+v.Value)
		}
	}
	return out
}

// replaceBy makes this process the command. It returns only if that fails.
func replaceBy(args, environ []string) error {
	path, err := exec.LookPath(args[0])
	if errors.Is(err, fs.ErrPermission) {
		return statusError{fmt.Errorf("%s cannot be run: it is not executable", args[0]), statusCannot}
	}
	if err != nil {
		return statusError{fmt.Errorf("%s: command not found", args[0]), statusNotFound}
	}
	if err := syscall.Exec(path, args, environ); err != nil {
		return statusError{fmt.Errorf("running %s: %w", path, err), statusCannot}
	}
	return nil
}

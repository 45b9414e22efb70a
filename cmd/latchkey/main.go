// Command latchkey is the whole product in one program: the service, and the
// commands that lead other programs to it.
//
// latchkey up starts a service on a data directory; latchkey exec finds the one that
// runs there and starts any program in an environment in which Azure's own names
// lead to it. What each command does is in its own file; this one has the table of
// them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// A command is one row of the table.
type command struct {
	name string
	// args is what comes after the name in the usage line.
	args string
	// short is one line for the list, long what help says besides.
	short, long string
	// flags declares the command's flags and returns what runs after they are read.
	flags func(*flag.FlagSet) action
}

// An action runs a command with what its flags left over.
type action func(ctx context.Context, std stdio, args []string) error

// stdio is where a command reads and writes.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// commands are listed in the order in which a newcomer meets them. It is filled in
// init because help reads it.
var commands []command

func init() {
	commands = []command{
		quickstartCommand,
		upCommand,
		execCommand,
		envCommand,
		versionCommand,
		helpCommand,
	}
}

// A usageError is what the caller typed wrong: exit status 2.
type usageError struct{ error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// A statusError ends the program with a status of its own.
type statusError struct {
	error
	status int
}

func main() {
	os.Exit(run(context.Background(), stdio{os.Stdin, os.Stdout, os.Stderr}, os.Args[1:]))
}

// run runs one command line and returns the exit status: 0 done, 1 failed, 2 typed
// wrong.
func run(ctx context.Context, std stdio, args []string) int {
	if len(args) == 0 {
		printOverview(std.err)
		return 2
	}
	name := args[0]
	switch name {
	case "-h", "-help", "--help":
		name = "help"
	case "-version", "--version":
		name = "version"
	}
	cmd, ok := find(name)
	if !ok {
		fmt.Fprintf(std.err, "latchkey: there is no command %q; see: latchkey help\n", name)
		return 2
	}
	err := cmd.run(ctx, std, args[1:])
	if err == nil {
		return 0
	}
	// One line, whatever was joined or wrapped on the way.
	said := strings.ReplaceAll(err.Error(), "\n", "; ")
	var wrong usageError
	var status statusError
	switch {
	case errors.As(err, &wrong):
		fmt.Fprintf(std.err, "latchkey %s: %s; see: latchkey help %s\n", cmd.name, said, cmd.name)
		return 2
	case errors.As(err, &status):
		fmt.Fprintf(std.err, "latchkey %s: %s\n", cmd.name, said)
		return status.status
	}
	fmt.Fprintf(std.err, "latchkey %s: %s\n", cmd.name, said)
	return 1
}

func find(name string) (command, bool) {
	for _, c := range commands {
		if c.name == name {
			return c, true
		}
	}
	return command{}, false
}

func (c command) run(ctx context.Context, std stdio, args []string) error {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are ours to print
	act := c.flags(fs)
	if err := readVariables(fs); err != nil {
		return usageError{err}
	}
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		c.printHelp(std.out)
		return nil
	} else if err != nil {
		// Package flag writes one dash, our pages two.
		return usage("%s", strings.Replace(err.Error(), " -", " --", 1))
	}
	return act(ctx, std, fs.Args())
}

// readVariables takes the value of each flag from its variable. The command line
// comes after it and wins.
func readVariables(fs *flag.FlagSet) error {
	var failed error
	fs.VisitAll(func(f *flag.Flag) {
		name := variable(f)
		value, ok := os.LookupEnv(name)
		if !ok || value == "" || failed != nil {
			return
		}
		if err := fs.Set(f.Name, value); err != nil {
			failed = fmt.Errorf("invalid value %q of %s: %w", value, name, err)
			return
		}
		f.DefValue = value
	})
	return failed
}

// variable returns the name of a flag's variable: LATCHKEY_CHECK_INTERVAL for
// --check-interval.
func variable(f *flag.Flag) string {
	return "LATCHKEY_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
}

// none refuses arguments where a command takes none.
func none(args []string) error {
	if len(args) > 0 {
		return usage("unexpected argument %q", args[0])
	}
	return nil
}

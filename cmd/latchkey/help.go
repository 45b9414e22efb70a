package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"runtime"
	"strings"
)

// version is stamped by the Makefile.
var version = "dev"

var versionCommand = command{
	name:  "version",
	short: "print the version",
	flags: func(*flag.FlagSet) action {
		return func(_ context.Context, std stdio, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			_, err := fmt.Fprintf(std.out, "latchkey %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		}
	},
}

var helpCommand = command{
	name:  "help",
	args:  "[COMMAND]",
	short: "explain a command",
	flags: func(*flag.FlagSet) action { return help },
}

func help(_ context.Context, std stdio, args []string) error {
	switch len(args) {
	case 0:
		printOverview(std.out)
		return nil
	case 1:
		c, ok := find(args[0])
		if !ok {
			return usage("there is no command %q", args[0])
		}
		c.printHelp(std.out)
		return nil
	}
	return usage("unexpected argument %q", args[1])
}

func printOverview(w io.Writer) {
	fmt.Fprint(w, `Latchkey is a batch computing service whose customers hold the key. It speaks the
protocols of Azure Batch, Key Vault, managed identity and Resource Manager.

  latchkey COMMAND [flags]

`)
	for _, c := range commands {
		fmt.Fprintf(w, "  %-12s%s\n", c.name, c.short)
	}
	fmt.Fprint(w, "\nMore about one of them: latchkey help COMMAND\n")
}

func (c command) printHelp(w io.Writer) {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	c.flags(fs)
	flags := false
	fs.VisitAll(func(*flag.Flag) { flags = true })
	line := "latchkey " + c.name
	if flags {
		line += " [flags]"
	}
	if c.args != "" {
		line += " " + c.args
	}
	fmt.Fprintf(w, "%s\n\n  %s\n", line, c.short)
	if c.long != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(c.long))
	}
	if !flags {
		return
	}
	fmt.Fprint(w, "\nFlags, each with the variable that sets it too:\n")
	fs.VisitAll(func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		standard := ""
		if f.DefValue != "" && f.DefValue != "false" {
			standard = " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(w, "\n  --%s %s\n      %s%s\n      %s\n", f.Name, value, text, standard, variable(f))
	})
}

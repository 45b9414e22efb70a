package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"latchkey/server"
)

var envCommand = command{
	name:  "env",
	short: "print the environment of exec for a shell to read",
	long: `
Prints what latchkey exec would change, as commands of a shell:

  eval "$(latchkey env)"                       sh, bash, zsh
  latchkey env --shell fish | source           fish
  latchkey env --shell powershell | Out-String | Invoke-Expression

One of the values is the application's secret.`,
	flags: func(fs *flag.FlagSet) action {
		var who clientFlags
		who.declare(fs)
		shell := fs.String("shell", "sh", "whose `LANGUAGE` to write: sh, fish or powershell")
		return func(ctx context.Context, std stdio, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			write, ok := shells[*shell]
			if !ok {
				return usage("--shell: %q is none of sh, fish and powershell", *shell)
			}
			changes, err := who.environment(ctx)
			if err != nil {
				return err
			}
			for _, v := range changes {
				if _, err := fmt.Fprintln(std.out, write(v)); err != nil {
					return err
				}
			}
			return nil
		}
	},
}

// shells write one change in the language of a shell.
var shells = map[string]func(server.Variable) string{
	"sh": func(v server.Variable) string {
		if v.Unset {
			return "unset " + v.Name
		}
		return "export " + v.Name + "='" + strings.ReplaceAll(v.Value, "'", `'\''`) + "'"
	},
	"fish": func(v server.Variable) string {
		if v.Unset {
			return "set -e " + v.Name
		}
		return "set -gx " + v.Name + " '" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(v.Value) + "'"
	},
	"powershell": func(v server.Variable) string {
		if v.Unset {
			return "Remove-Item Env:" + v.Name + " -ErrorAction SilentlyContinue"
		}
		return "$Env:" + v.Name + " = '" + strings.ReplaceAll(v.Value, "'", "''") + "'"
	},
}

// quoteSh writes a word for a shell, with quotes only where it needs them.
func quoteSh(word string) string {
	plain := word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@%+,") == ""
	if plain {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

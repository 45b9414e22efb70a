package server

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"latchkey/compute"
)

// taskEnvironment returns what gives a node's tasks the variables that lead their
// programs here: the proxy and whom to trust, as latchkey exec does, and nobody's
// secret. It is made when the first node boots, because a trust store takes a while.
func (i Info) taskEnvironment(report func(error)) func(compute.Node) []string {
	made := sync.OnceValues(func() ([]string, error) {
		cloud, err := ParseCloud(i.Cloud)
		if err != nil {
			return nil, err
		}
		public := Layout(i.Data).Public()
		e := environ{lookup: func(string) (string, bool) { return "", false }}
		e.proxy("http://"+i.Proxy, cloud)
		if err := e.trust(i, public); err != nil {
			return nil, err
		}
		e.cloud(cloud)
		// Tasks may have users of their own.
		files, err := os.ReadDir(public)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			if err := os.Chmod(filepath.Join(public, f.Name()), 0o644); err != nil {
				return nil, err
			}
		}
		var env []string
		for _, v := range e.changes {
			env = append(env, v.Name+"="+v.Value)
		}
		return env, nil
	})
	return func(compute.Node) []string {
		env, err := made()
		if err != nil {
			report(fmt.Errorf("preparing the environment of tasks: %w", err))
		}
		return env
	}
}

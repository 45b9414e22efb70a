package batch

import (
	"fmt"

	"latchkey/compute"
)

// This file has what pools, jobs and tasks say alike. The types are stored inside
// records by their field names: a field that is renamed loses what was stored.

// An EnvVar is one environment variable.
type EnvVar struct{ Name, Value string }

// A ResourceFile is fetched over HTTP before a task starts.
type ResourceFile struct {
	URL, Path string
	Mode      string `json:",omitempty"`
}

// A UserIdentity says as whom a task runs. A zero one is Azure's default: a user of
// its own, without privileges.
type UserIdentity struct {
	// Username is one of the pool's user accounts; else Scope and Elevation describe an
	// automatic user: "task" or "pool", "nonadmin" or "admin".
	Username, Scope, Elevation string
}

func checkUser(name string, u *UserIdentity) error {
	switch {
	case u == nil:
		return nil
	case u.Username != "" && (u.Scope != "" || u.Elevation != ""):
		return BadProperty(name, u.Username, "username and autoUser are mutually exclusive")
	case u.Scope != "" && u.Scope != "task" && u.Scope != "pool":
		return BadProperty(name+".autoUser.scope", u.Scope, "it must be task or pool")
	}
	return checkElevation(name+".autoUser.elevationLevel", u.Elevation)
}

func checkElevation(name, level string) error {
	if level != "" && level != "nonadmin" && level != "admin" {
		return BadProperty(name, level, "it must be nonadmin or admin")
	}
	return nil
}

// A StartTask prepares each node of a pool.
type StartTask struct {
	CommandLine    string
	Env            []EnvVar       `json:",omitempty"`
	Files          []ResourceFile `json:",omitempty"`
	User           *UserIdentity  `json:",omitempty"`
	MaxRetries     int            `json:",omitempty"`
	WaitForSuccess bool           `json:",omitempty"`
}

func (t *StartTask) check() error {
	if t == nil {
		return nil
	}
	if err := checkCommandLine("startTask.commandLine", t.CommandLine); err != nil {
		return err
	}
	if err := checkEnv("startTask.environmentSettings", t.Env); err != nil {
		return err
	}
	if err := checkResourceFiles("startTask.resourceFiles", t.Files); err != nil {
		return err
	}
	if err := checkUser("startTask.userIdentity", t.User); err != nil {
		return err
	}
	if t.MaxRetries < -1 {
		return BadProperty("startTask.maxTaskRetryCount", fmt.Sprint(t.MaxRetries), "it must be -1 or more")
	}
	return nil
}

// order writes the start task as an agent gets it.
func (t *StartTask) order(users []UserAccount) *compute.StartTask {
	if t == nil {
		return nil
	}
	return &compute.StartTask{
		CommandLine:    t.CommandLine,
		Env:            orderEnv(t.Env),
		ResourceFiles:  orderFiles(t.Files),
		Elevated:       elevated(t.User, users),
		WaitForSuccess: t.WaitForSuccess,
		MaxRetries:     t.MaxRetries,
	}
}

// elevated reports whether an identity is an administrator.
func elevated(u *UserIdentity, users []UserAccount) bool {
	if u == nil {
		return false
	}
	for _, a := range users {
		if u.Username != "" && a.Name == u.Username {
			return a.Elevation == "admin"
		}
	}
	return u.Elevation == "admin"
}

func orderEnv(env []EnvVar) []compute.EnvVar {
	out := make([]compute.EnvVar, len(env))
	for i, v := range env {
		out[i] = compute.EnvVar(v)
	}
	return out
}

func orderFiles(files []ResourceFile) []compute.ResourceFile {
	out := make([]compute.ResourceFile, len(files))
	for i, f := range files {
		out[i] = compute.ResourceFile{URL: f.URL, Path: f.Path, Mode: f.Mode}
	}
	return out
}

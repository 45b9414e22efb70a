package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"latchkey/front"
	"latchkey/resource"
)

// Info is what a running service says of itself: to the terminal, to --ready-file and
// to the other commands, through run.json. It has no secret in it.
type Info struct {
	Version string `json:"version"`
	PID     int    `json:"pid"`
	Data    string `json:"data"`
	// Cloud is what ParseCloud reads.
	Cloud string `json:"cloud"`
	// Listen, Proxy and Portal are HOST:PORT.
	Listen string `json:"listen"`
	Proxy  string `json:"proxy"`
	Portal string `json:"portal"`
	CAFile string `json:"caFile"`

	TenantID       string `json:"tenantId"`
	SubscriptionID string `json:"subscriptionId"`
	ClientID       string `json:"clientId"`
	// SecretFile is where the application's secret is, for those who may read it.
	SecretFile string `json:"secretFile"`

	Endpoints Endpoints `json:"endpoints"`
	// Isolation has one sentence for each thing that keeps tasks apart from the
	// service and from one another on this host, or says what cannot.
	Isolation []string `json:"isolation"`
	// StartedMS is how long the start took, in milliseconds.
	StartedMS int64 `json:"startedMs"`
}

// Endpoints are the addresses that clients use. They are names of the cloud profile,
// never ports of the day.
type Endpoints struct {
	Management string `json:"management"`
	Login      string `json:"login"`
	Graph      string `json:"graph"`
	// Vault and Batch are patterns with VAULT, ACCOUNT and REGION in them.
	Vault string `json:"vault"`
	Batch string `json:"batch"`
}

func endpointsOf(c resource.Cloud) Endpoints {
	return Endpoints{
		Management: "https://" + c.Management,
		Login:      "https://" + c.Login,
		Graph:      "https://" + c.Graph,
		Vault:      "https://VAULT." + c.Vault,
		Batch:      "https://ACCOUNT.REGION." + c.Batch,
	}
}

// A NotRunningError says that no service runs on a data directory.
type NotRunningError struct{ Dir string }

// Error implements error.
func (e *NotRunningError) Error() string {
	return "no service is running on data directory " + e.Dir + "; start one with: latchkey up --data " + e.Dir
}

// Running returns the Info of the service that runs on the data directory. If none
// does, the error is a *NotRunningError.
func Running(dir string) (Info, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Info{}, fmt.Errorf("finding the service: %w", err)
	}
	layout := Layout(dir)
	// Who runs has the lock, whatever a file says: a killed service leaves its
	// run.json behind.
	lock, err := os.Open(layout.lockFile())
	if errors.Is(err, fs.ErrNotExist) {
		return Info{}, &NotRunningError{dir}
	}
	if err != nil {
		return Info{}, fmt.Errorf("finding the service: %w", err)
	}
	defer lock.Close()
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return Info{}, &NotRunningError{dir}
	}
	b, err := os.ReadFile(layout.RunFile())
	if errors.Is(err, fs.ErrNotExist) {
		return Info{}, fmt.Errorf("the service on %s (pid %d) is not ready yet", dir, readPID(layout.lockFile()))
	}
	if err != nil {
		return Info{}, fmt.Errorf("finding the service: %w", err)
	}
	var info Info
	if err := json.Unmarshal(b, &info); err != nil {
		return Info{}, fmt.Errorf("reading %s: %w", layout.RunFile(), err)
	}
	return info, nil
}

// WriteInfo writes an Info to a file for programs to read, whole or not at all.
func WriteInfo(path string, info Info) error {
	b, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return err
	}
	if err := front.Replace(path, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing where everything is to %s: %w", path, err)
	}
	return nil
}

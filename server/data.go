package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"latchkey/front"
	"latchkey/resource"
)

// A Layout is a data directory by its path: it knows where things are and touches
// none of them.
type Layout string

// Store has the sealed records of Batch and of the control plane.
func (l Layout) Store() string { return l.in("store") }

// Vault has the vaults and their keys.
func (l Layout) Vault() string { return l.in("vault") }

// Root has the root keys, the certificate authority and the first credentials.
func (l Layout) Root() string { return l.in("root") }

// Audit has the record of every use of a key.
func (l Layout) Audit() string { return l.in("audit") }

// Nodes has the disks of the local provider's nodes.
func (l Layout) Nodes() string { return l.in("nodes") }

// Client has what latchkey exec gives to programs: trust stores and az's own
// directory.
func (l Layout) Client() string { return l.in("client") }

// Public has what every task may read: the certificates to trust.
func (l Layout) Public() string { return l.in("public") }

// CAFile is the certificate of the local authority.
func (l Layout) CAFile() string { return l.in("root", "ca.pem") }

// CredentialsFile is where the first application's secret is.
func (l Layout) CredentialsFile() string { return l.in("root", "credentials.json") }

// RunFile is the Info of the service that runs on the directory. It can be left over
// from one that was killed; Running tells.
func (l Layout) RunFile() string { return l.in("run.json") }

func (l Layout) lockFile() string { return l.in("lock") }

func (l Layout) in(names ...string) string {
	return filepath.Join(append([]string{string(l)}, names...)...)
}

// DefaultData is where a service keeps its data unless it is told otherwise.
func DefaultData() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/lib/latchkey", nil
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "latchkey"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("finding the home directory: %w", err)
	}
	return filepath.Join(home, ".local", "share", "latchkey"), nil
}

// Data is a data directory that this process has to itself.
type Data struct {
	Layout
	lock *os.File
}

// An InUseError says that another process has the data directory.
type InUseError struct {
	Dir string
	// PID is the other process, or 0 if it has not said.
	PID int
}

// Error implements error.
func (e *InUseError) Error() string {
	who := "another latchkey"
	if e.PID != 0 {
		who += " (pid " + strconv.Itoa(e.PID) + ")"
	}
	return "data directory " + e.Dir + " is in use by " + who + "; stop it first, or give this one its own --data"
}

// OpenData makes the directory if need be and takes it for this process until Close.
// A directory that another process has is an *InUseError.
func OpenData(dir string) (*Data, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the data directory: %w", err)
	}
	d := &Data{Layout: Layout(dir)}
	// Tasks run as users of their own when we are root, and must be able to walk
	// down to their node's disk; list or read they cannot.
	mode := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711
	}
	if err := makeDir(dir, mode); err != nil {
		return nil, fmt.Errorf("opening the data directory: %w", err)
	}
	if err := d.take(); err != nil {
		return nil, err
	}
	for _, sub := range []struct {
		dir  string
		mode fs.FileMode
	}{
		{d.Store(), 0o700},
		{d.Vault(), 0o700},
		{d.Root(), 0o700},
		{d.Audit(), 0o700},
		{d.Client(), 0o700},
		{d.Nodes(), 0o711},
		{d.Public(), 0o755},
	} {
		if err := makeDir(sub.dir, sub.mode); err != nil {
			d.Close()
			return nil, fmt.Errorf("opening the data directory: %w", err)
		}
	}
	return d, nil
}

// makeDir makes a directory with exactly this mode, also if it was there with
// another: a backup that was put back may have lost it.
func makeDir(dir string, mode fs.FileMode) error {
	if err := os.MkdirAll(dir, mode); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if info.Mode().Perm() == mode {
		return nil
	}
	return os.Chmod(dir, mode)
}

func (d *Data) take() error {
	lock, err := os.OpenFile(d.lockFile(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("opening the data directory: %w", err)
	}
	// Running holds the lock for an instant to see whether anybody has it; so one
	// refusal proves nothing.
	for tries := 0; ; tries++ {
		if err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			lock.Close()
			return fmt.Errorf("locking %s: %w", d.lockFile(), err)
		}
		if tries == 5 {
			lock.Close()
			return &InUseError{Dir: string(d.Layout), PID: readPID(d.lockFile())}
		}
		time.Sleep(20 * time.Millisecond)
	}
	d.lock = lock
	if err = lock.Truncate(0); err == nil {
		_, err = lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		d.Close()
		return fmt.Errorf("locking %s: %w", d.lockFile(), err)
	}
	return nil
}

// Close gives the directory back.
func (d *Data) Close() error { return d.lock.Close() }

func readPID(path string) int {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return pid
}

// Credentials are what the first start makes: one tenant, one subscription, one
// application that owns it.
type Credentials struct {
	TenantID       string `json:"tenantId"`
	SubscriptionID string `json:"subscriptionId"`
	ClientID       string `json:"clientId"`
	ClientSecret   string `json:"clientSecret"`
}

// Credentials reads the first credentials.
func (l Layout) Credentials() (Credentials, error) {
	var c Credentials
	b, err := os.ReadFile(l.CredentialsFile())
	if err != nil {
		return c, fmt.Errorf("reading the credentials: %w", err)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("reading the credentials in %s: %w", l.CredentialsFile(), err)
	}
	if !resource.IsGUID(c.TenantID) || !resource.IsGUID(c.SubscriptionID) || !resource.IsGUID(c.ClientID) || c.ClientSecret == "" {
		return c, fmt.Errorf("reading the credentials in %s: it is not complete", l.CredentialsFile())
	}
	return c, nil
}

// KeepCredentials writes the first credentials, readable for the owner alone.
func (d *Data) KeepCredentials(c Credentials) error {
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return front.Replace(d.CredentialsFile(), append(b, '\n'), 0o600)
}

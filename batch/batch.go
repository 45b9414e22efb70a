// Package batch is the batch service: pools, nodes, jobs, tasks and certificates.
//
// Its one idea is the lease. Work is a record in the store; a node polls, and one
// transaction applies what it reports, chooses what it shall run, and marks those
// tasks with a fresh run id that belongs to that node until the lease ends. A result
// counts only while its run is still the task's, so however often a report is sent,
// a lease runs out or an account is locked, each task completes once.
//
// Nothing here knows of keys. An account whose key is away has no transactions: polls
// fail, agents kill what they run, and the first transaction after the key is back
// puts all of that into the queue again.
package batch

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/store"
)

// An Account is what the service must know of a Batch account.
type Account struct {
	// Space is where its records are.
	Space store.Space
	// ID is its Resource Manager id, Name its name, URL the address of its data plane
	// without a slash at the end.
	ID, Name, URL string
}

// An Authority says whether a caller may do something with data: *identity.Directory.
type Authority interface {
	RequireData(ctx context.Context, who identity.Caller, action, scope string) error
}

// Config says what a Service works with. Every field but Log must be set.
type Config struct {
	Store *store.Store
	// Accounts lists the accounts that there are now.
	Accounts  func(ctx context.Context) ([]Account, error)
	Directory Authority
	Log       *slog.Logger
}

// A Service does the work of all Batch accounts.
type Service struct {
	store     *store.Store
	accounts  func(ctx context.Context) ([]Account, error)
	directory Authority
	files     Files
	log       *slog.Logger

	benches benches
	fleet   fleet
	watched watched
	kicks   chan struct{}
	hints   hints

	mu sync.Mutex
	// kicked are the spaces that the loop must look at, the value says whether all of
	// their jobs.
	kicked map[store.Space]bool
}

// New returns a service. Run does its background work.
func New(c Config) *Service {
	s := &Service{
		store:     c.Store,
		accounts:  c.Accounts,
		directory: c.Directory,
		log:       c.Log,
		kicks:     make(chan struct{}, 1),
		kicked:    map[store.Space]bool{},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.fleet.version = store.NextSequence()
	return s
}

// Reach tells the service who reaches the disks of nodes; without it no file can be
// read. It is called before the service is used: the provider of nodes is made with
// the service, so it cannot be in Config.
func (s *Service) Reach(f Files) { s.files = f }

// The actions that roles allow, below the account: Azure has none for tasks, nodes
// and files, which count as their job's and their pool's.
const (
	readPools          = "pools/read"
	writePools         = "pools/write"
	deletePools        = "pools/delete"
	readJobs           = "jobs/read"
	writeJobs          = "jobs/write"
	deleteJobs         = "jobs/delete"
	readCertificates   = "certificates/read"
	writeCertificates  = "certificates/write"
	deleteCertificates = "certificates/delete"
)

// require fails unless the caller may do the action on the account.
func (s *Service) require(ctx context.Context, who identity.Caller, acct Account, action string) error {
	return s.directory.RequireData(ctx, who, "Microsoft.Batch/batchAccounts/"+action, acct.ID)
}

// A Condition decides whether a change may go on, from what conditional headers said
// and the thing as it is inside the transaction. Nil lets everything pass.
type Condition func(version uint64, modified time.Time) error

func (c Condition) check(version uint64) error {
	if c == nil {
		return nil
	}
	return c(version, moment(version))
}

// moment is the time that a sequence number stands for: records and their versions
// are numbered by the clock.
func moment(sequence uint64) time.Time { return time.Unix(0, int64(sequence)).UTC() }

// now is the time as it is stored.
func now() time.Time { return time.Now().UTC() }

// A Pair is a name and a value: metadata, details of failures.
type Pair struct{ Name, Value string }

// A rid is a store.RID inside a record.
type rid store.RID

// MarshalText implements encoding.TextMarshaler.
func (r rid) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, r[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *rid) UnmarshalText(b []byte) error {
	if len(b) != 2*len(r) {
		return fmt.Errorf("%q is not the place of a record", b)
	}
	_, err := hex.Decode(r[:], b)
	return err
}

// missing turns "no such record" into the fault of what was looked for.
func missing(err error, row *fault.Code, format string, args ...any) error {
	if errors.Is(err, store.ErrNotFound) {
		return row.New(format, args...)
	}
	return err
}

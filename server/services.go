package server

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"latchkey/account"
	"latchkey/armapi"
	"latchkey/batch"
	"latchkey/batchapi"
	"latchkey/compute"
	"latchkey/front"
	"latchkey/graphapi"
	"latchkey/identity"
	"latchkey/keyring"
	"latchkey/portal"
	"latchkey/store"
	"latchkey/subscription"
	"latchkey/tokenapi"
	"latchkey/vault"
	"latchkey/vaultapi"
)

// services is all that a service is made of, built in this order and closed in the
// other.
type services struct {
	cfg  Config
	data *Data
	log  *slog.Logger

	rows, vaultRows *store.Pebble
	audit           *identity.Audit
	directory       *identity.Directory
	ring            *keyring.Ring
	subscriptions   *subscription.Service
	vaults          *vault.Service
	accounts        *account.Service
	batch           *batch.Service
	nodes           *compute.Local
	endpoint        http.Handler
}

// build opens the stores and makes the services. Outside is how they reach vaults and
// what tasks ask for. On failure everything that was opened is closed.
func build(ctx context.Context, cfg Config, data *Data, outside *front.Front) (_ *services, err error) {
	s := &services{cfg: cfg, data: data, log: cfg.Logger}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err := s.openStores(ctx, outside.Client()); err != nil {
		return nil, err
	}
	if err := s.makeServices(outside); err != nil {
		return nil, err
	}
	s.wire()
	return s, nil
}

// openStores reads the root keys, opens both stores and the directory, and loads the
// accounts' wrapped keys. A wrong root key is noticed here, before anything is
// written.
func (s *services) openStores(ctx context.Context, client *http.Client) error {
	platformFile, masterFile := filepath.Join(s.data.Root(), "platform.key"), filepath.Join(s.data.Root(), "vault.key")
	platform, err := rootKey(platformFile, empty(s.data.Store()))
	if err != nil {
		return err
	}
	master, err := rootKey(masterFile, empty(s.data.Vault()))
	if err != nil {
		return err
	}
	if s.rows, err = store.OpenPebble(s.data.Store(), s.log); err != nil {
		return err
	}
	if s.vaultRows, err = store.OpenPebble(s.data.Vault(), s.log); err != nil {
		return err
	}
	if s.audit, err = identity.OpenAudit(identity.AuditConfig{Dir: s.data.Audit()}); err != nil {
		return err
	}
	s.ring = keyring.New(keyring.Config{
		Platform: platform, Cloud: s.cfg.Cloud, HTTP: client,
		Tenant:        func() string { return s.directory.Tenant() },
		Credential:    func(_, id string) azcore.TokenCredential { return credential{s.directory, id} },
		CheckInterval: s.cfg.CheckInterval, OutageGrace: s.cfg.OutageGrace, Log: s.log,
	})
	records := store.New(s.rows, s.ring)
	if err := records.Check(ctx, store.Space{}); err != nil {
		return wrongRoot(err, platformFile)
	}
	vaultRecords := store.New(s.vaultRows, keyring.Fixed(master, "vaults"))
	if err := vaultRecords.Check(ctx, store.Space{}); err != nil {
		return wrongRoot(err, masterFile)
	}
	// A secret that cannot be read is made anew; what it opens is on this machine.
	creds, err := s.data.Credentials()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	s.directory, err = identity.Open(ctx, identity.Config{Store: records, Cloud: s.cfg.Cloud, Secret: creds.ClientSecret, Log: s.log})
	if err != nil {
		return err
	}
	if b := s.directory.Bootstrap(); b.Fresh {
		err := s.data.KeepCredentials(Credentials{TenantID: b.TenantID, SubscriptionID: b.SubscriptionID, ClientID: b.ClientID, ClientSecret: b.Secret})
		if err != nil {
			return fmt.Errorf("keeping the credentials: %w", err)
		}
	}
	if err := s.ring.Load(ctx, records); err != nil {
		return fmt.Errorf("loading the accounts' keys: %w", err)
	}
	s.subscriptions = subscription.New(subscription.Config{Store: records, Directory: s.directory, Log: s.log})
	s.vaults = vault.New(vault.Config{
		Store: vaultRecords, Cloud: s.cfg.Cloud, Directory: s.directory,
		Audit: s.audit, Location: regionOf(vault.Type), Geography: geographyOf, Log: s.log,
	})
	s.accounts = account.New(account.Config{
		Store: records, Ring: s.ring, Directory: s.directory, Cloud: s.cfg.Cloud, Location: regionOf(account.Type),
		Usable: s.subscriptions.Usable, Usage: s.usage, Log: s.log,
	})
	s.batch = batch.New(batch.Config{Store: records, Accounts: s.batchAccounts, Directory: s.directory, Log: s.log})
	return nil
}

// usage counts what an account has by state, which needs no key.
func (s *services) usage(ctx context.Context, space store.Space, locked bool) (account.Usage, error) {
	u, err := s.batch.Usage(ctx, space, locked)
	return account.Usage(u), err
}

// empty reports whether a directory has nothing in it.
func empty(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) == 0
}

// regionOf returns what finds the region in which a resource of a type is made.
func regionOf(fullType string) func(string) (string, error) {
	return func(name string) (string, error) { return subscription.Place(name, fullType) }
}

// geographyOf returns where the data of a region stays.
func geographyOf(region string) string {
	l, _ := subscription.FindLocation(region)
	return l.Geography
}

// batchAccounts is what batch must know of the accounts.
func (s *services) batchAccounts(ctx context.Context) ([]batch.Account, error) {
	all, err := s.accounts.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]batch.Account, 0, len(all))
	for _, a := range all {
		out = append(out, batchAccountOf(a))
	}
	return out, nil
}

func batchAccountOf(a account.Account) batch.Account {
	return batch.Account{Space: a.Space, ID: a.ID, Name: a.Name, URL: a.URL()}
}

// batchAccount is what the data plane's door must know of the account at an endpoint.
func (s *services) batchAccount(ctx context.Context, name, region string) (batchapi.Account, error) {
	a, err := s.accounts.ByEndpoint(ctx, name, region)
	if err != nil {
		return batchapi.Account{}, err
	}
	out := batchapi.Account{
		Account: batchAccountOf(a), SharedKey: a.Allows(account.SharedKey), Tokens: a.Allows(account.AAD),
		Locked: s.ring.Opened(a.Space),
	}
	primary, secondary := a.SharedKeys()
	for _, key := range [][]byte{primary, secondary} {
		out.Keys = append(out.Keys, base64.StdEncoding.EncodeToString(key))
	}
	return out, nil
}

// makeServices makes the nodes' provider and the identity endpoint, which need the
// listeners' addresses.
func (s *services) makeServices(outside *front.Front) (err error) {
	here := Info{Data: string(s.data.Layout), Cloud: cloudName(s.cfg.Cloud), Proxy: outside.ProxyAddr(), CAFile: s.data.CAFile()}
	s.nodes, err = compute.NewLocal(compute.Config{
		Dir: s.data.Nodes(), Source: s.batch, Logger: s.log, HTTP: outside.Client(),
		Hide: []string{string(s.data.Layout)}, Show: []string{s.data.Public()},
		TaskEnv: here.taskEnvironment(func(err error) { s.log.Error("a node boots", "err", err) }),
	})
	if err != nil {
		return err
	}
	s.batch.Reach(s.nodes)
	s.endpoint = tokenapi.NewIdentityEndpoint(tokenapi.EndpointConfig{
		Directory: s.directory, Base: "http://" + outside.PortalAddr(), Log: s.log,
	})
	return nil
}

// wire tells who must know of what.
func (s *services) wire() {
	// A group is emptied in this order: what uses something goes before what it uses.
	s.subscriptions.Join(accountMembers{s.accounts}, vaultMembers{s.vaults}, subscription.Identities(s.directory))
	s.vaults.OnChange(s.ring.Nudge)
	s.directory.OnChange(s.ring.NudgeIdentity)
	s.ring.OnChange(func(space store.Space, _ bool) { s.batch.Wake(space) })
}

// doors returns what stands behind the host names.
func (s *services) doors(facts portal.Facts) front.Doors {
	cloud := s.cfg.Cloud
	return front.Doors{
		Management: armapi.New(armapi.Config{
			Accounts: s.accounts, Vaults: s.vaults, Batch: s.batch, Directory: s.directory,
			Subscriptions: s.subscriptions, Cloud: cloud, Log: s.log,
		}),
		Login: tokenapi.New(tokenapi.Config{Directory: s.directory, Cloud: cloud, Log: s.log}),
		Graph: graphapi.New(graphapi.Config{Directory: s.directory, Cloud: cloud, Log: s.log}),
		Vault: vaultapi.New(vaultapi.Config{Vaults: s.vaults, Directory: s.directory, Cloud: cloud, Log: s.log}),
		Batch: batchapi.New(batchapi.Config{
			Batch: s.batch, Find: s.batchAccount, Authenticate: s.directory.Authenticate, Cloud: cloud, Log: s.log,
		}),
		Portal: portal.New(portal.Config{Facts: facts, Ready: s.ready}),
		Local:  s.endpoint,
	}
}

// ready says whether requests can be answered: whether the control plane opens.
func (s *services) ready() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	_, err := s.directory.Subscriptions(ctx)
	return err
}

// run runs every loop until ctx ends or one of them fails, and waits for all.
func (s *services) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var loops sync.WaitGroup
	for _, loop := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"subscriptions", s.subscriptions.Run},
		{"accounts", s.accounts.Run},
		{"vaults", s.vaults.Run},
		{"keyring", s.ring.Run},
		{"batch", s.batch.Run},
		{"nodes", s.nodes.Run},
	} {
		loops.Go(func() {
			if err := loop.run(ctx); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("running %s: %w", loop.name, err))
			}
		})
	}
	loops.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// close closes what build opened. No call may be in progress.
func (s *services) close() {
	if s.audit != nil {
		if err := s.audit.Close(); err != nil {
			s.log.Error("closing the audit", "err", err)
		}
	}
	for _, rows := range []*store.Pebble{s.vaultRows, s.rows} {
		if rows == nil {
			continue
		}
		if err := rows.Close(); err != nil {
			s.log.Error("closing a store", "err", err)
		}
	}
}

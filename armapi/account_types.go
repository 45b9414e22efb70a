package armapi

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"latchkey/account"
	"latchkey/fault"
	"latchkey/keyring"
	"latchkey/rest"
	"latchkey/subscription"
)

// accountIn is the body of PUT and PATCH.
type accountIn struct {
	Location   string                        `json:"location"`
	Tags       rest.Field[map[string]string] `json:"tags"`
	Identity   rest.Field[accountIdentityIn] `json:"identity"`
	Properties struct {
		PoolAllocationMode  *string                        `json:"poolAllocationMode"`
		PublicNetworkAccess *string                        `json:"publicNetworkAccess"`
		NetworkProfile      rest.Field[networkProfileJSON] `json:"networkProfile"`
		AutoStorage         rest.Field[autoStorageJSON]    `json:"autoStorage"`
		AuthenticationModes rest.Field[[]string]           `json:"allowedAuthenticationModes"`
		Encryption          rest.Field[encryptionJSON]     `json:"encryption"`
	} `json:"properties"`
}

type accountIdentityIn struct {
	Type string `json:"type"`
	// User has a null for an identity that is to be taken away.
	User map[string]json.RawMessage `json:"userAssignedIdentities"`
}

type encryptionJSON struct {
	KeySource string        `json:"keySource,omitempty"`
	KeyVault  *keyVaultJSON `json:"keyVaultProperties,omitempty"`
}

type keyVaultJSON struct {
	KeyIdentifier string `json:"keyIdentifier,omitempty"`
}

type networkProfileJSON struct {
	Account        *endpointAccessJSON `json:"accountAccess,omitempty"`
	NodeManagement *endpointAccessJSON `json:"nodeManagementAccess,omitempty"`
}

type endpointAccessJSON struct {
	DefaultAction string       `json:"defaultAction"`
	IPRules       []ipRuleJSON `json:"ipRules,omitempty"`
}

type ipRuleJSON struct {
	Action string `json:"action"`
	Value  string `json:"value"`
}

type autoStorageJSON struct {
	StorageAccountID string            `json:"storageAccountId,omitempty"`
	AuthMode         string            `json:"authenticationMode,omitempty"`
	NodeIdentity     *nodeIdentityJSON `json:"nodeIdentityReference,omitempty"`
	LastKeySync      *time.Time        `json:"lastKeySync,omitempty"`
}

type nodeIdentityJSON struct {
	ResourceID string `json:"resourceId,omitempty"`
}

func (in accountIn) creation() (account.Creation, error) {
	change, err := in.change()
	out := account.Creation{Location: in.Location, Change: change}
	if m := in.Properties.PoolAllocationMode; m != nil {
		out.PoolAllocationMode = *m
	}
	return out, err
}

// change says what a body asks for. What is absent says nothing; null takes back to
// the default.
func (in accountIn) change() (account.Change, error) {
	var out account.Change
	if in.Tags.Set {
		if err := subscription.CheckTags(in.Tags.Value); err != nil {
			return out, err
		}
		out.Tags = &in.Tags.Value
	}
	if in.Identity.Set {
		out.Identity = in.identity()
	}
	p := in.Properties
	out.PublicNetworkAccess = p.PublicNetworkAccess
	if p.NetworkProfile.Set {
		out.NetworkProfile = &account.NetworkProfile{
			Account: p.NetworkProfile.Value.Account.in(), NodeManagement: p.NetworkProfile.Value.NodeManagement.in(),
		}
	}
	if p.AutoStorage.Set {
		out.AutoStorage = &account.AutoStorage{StorageAccountID: p.AutoStorage.Value.StorageAccountID, AuthMode: p.AutoStorage.Value.AuthMode}
		if n := p.AutoStorage.Value.NodeIdentity; n != nil {
			out.AutoStorage.NodeIdentity = n.ResourceID
		}
	}
	if p.AuthenticationModes.Set {
		out.AuthenticationModes = &p.AuthenticationModes.Value
	}
	// An encryption of which nothing is said, or null, leaves the key where it is: a
	// key does not change hands by a word left out.
	if e := p.Encryption; e.Set && !e.Null && (e.Value.KeySource != "" || e.Value.KeyVault != nil) {
		out.Encryption = &account.EncryptionIn{KeySource: e.Value.KeySource}
		if e.Value.KeyVault != nil {
			out.Encryption.KeyIdentifier = e.Value.KeyVault.KeyIdentifier
		}
	}
	return out, nil
}

func (in accountIn) identity() *account.IdentityIn {
	if in.Identity.Null {
		return &account.IdentityIn{Type: string(account.NoIdentity)}
	}
	out := &account.IdentityIn{Type: in.Identity.Value.Type}
	if in.Identity.Value.User == nil {
		return out
	}
	out.User = []string{}
	for id, value := range in.Identity.Value.User {
		if string(value) != "null" {
			out.User = append(out.User, id)
		}
	}
	slices.Sort(out.User)
	return out
}

func (e *endpointAccessJSON) in() *account.EndpointAccess {
	if e == nil {
		return nil
	}
	out := &account.EndpointAccess{DefaultAction: e.DefaultAction}
	for _, r := range e.IPRules {
		out.IPRules = append(out.IPRules, account.IPRule(r))
	}
	return out
}

func endpointAccessOut(e *account.EndpointAccess) *endpointAccessJSON {
	if e == nil {
		return nil
	}
	out := &endpointAccessJSON{DefaultAction: e.DefaultAction}
	for _, r := range e.IPRules {
		out.IPRules = append(out.IPRules, ipRuleJSON(r))
	}
	return out
}

type accountOut struct {
	ID         string               `json:"id"`
	Name       string               `json:"name"`
	Type       string               `json:"type"`
	Location   string               `json:"location"`
	Tags       map[string]string    `json:"tags,omitempty"`
	Identity   accountIdentityOut   `json:"identity"`
	Properties accountPropertiesOut `json:"properties"`
}

type accountIdentityOut struct {
	Type        string                     `json:"type"`
	PrincipalID string                     `json:"principalId,omitempty"`
	TenantID    string                     `json:"tenantId,omitempty"`
	User        map[string]userIdentityOut `json:"userAssignedIdentities,omitempty"`
}

type userIdentityOut struct {
	PrincipalID string `json:"principalId"`
	ClientID    string `json:"clientId"`
}

type accountPropertiesOut struct {
	AccountEndpoint        string              `json:"accountEndpoint"`
	NodeManagementEndpoint string              `json:"nodeManagementEndpoint"`
	ProvisioningState      string              `json:"provisioningState"`
	PoolAllocationMode     string              `json:"poolAllocationMode"`
	PublicNetworkAccess    string              `json:"publicNetworkAccess"`
	NetworkProfile         *networkProfileJSON `json:"networkProfile,omitempty"`
	Connections            []struct{}          `json:"privateEndpointConnections"`
	AutoStorage            *autoStorageJSON    `json:"autoStorage,omitempty"`
	Encryption             encryptionJSON      `json:"encryption"`
	AuthenticationModes    []string            `json:"allowedAuthenticationModes"`
	DedicatedCores         int                 `json:"dedicatedCoreQuota"`
	LowPriorityCores       int                 `json:"lowPriorityCoreQuota"`
	CoresPerFamily         []struct{}          `json:"dedicatedCoreQuotaPerVMFamily"`
	CoresPerFamilyEnforced bool                `json:"dedicatedCoreQuotaPerVMFamilyEnforced"`
	Pools                  int                 `json:"poolQuota"`
	ActiveJobs             int                 `json:"activeJobAndJobScheduleQuota"`
	// KeyStatus is ours: the state of a customer-managed key and what stands still
	// because of it.
	KeyStatus *keyStatusOut `json:"keyStatus,omitempty"`
}

// What an account may have: Azure's figures for a new one.
const (
	dedicatedCoreQuota   = 900
	lowPriorityCoreQuota = 100
	poolQuota            = 100
	activeJobQuota       = 300
)

type keyStatusOut struct {
	State   keyring.State  `json:"state"`
	Reason  keyring.Reason `json:"reason,omitempty"`
	Message string         `json:"message,omitempty"`
	// Since is when the state began.
	Since             *time.Time       `json:"since,omitempty"`
	KeyIdentifier     string           `json:"keyIdentifier,omitempty"`
	KeyVersionsNeeded []string         `json:"keyVersionsNeeded,omitempty"`
	LastChecked       *time.Time       `json:"lastChecked,omitempty"`
	Generation        uint32           `json:"generation"`
	Resealing         *resealingOut    `json:"resealing,omitempty"`
	Pools             int64            `json:"pools"`
	Jobs              int64            `json:"jobs"`
	Nodes             map[string]int64 `json:"nodes"`
	Tasks             map[string]int64 `json:"tasks"`
}

type resealingOut struct {
	Done    int64     `json:"done"`
	Total   int64     `json:"total"`
	Started time.Time `json:"started"`
}

func (d *Door) accountOut(ctx context.Context, a account.Account) (accountOut, error) {
	out := accountOut{
		ID: a.ID, Name: a.Name, Type: account.Type, Location: a.Location, Tags: a.Tags,
		Identity: accountIdentityOut{Type: string(a.Identity.Type), PrincipalID: a.Identity.PrincipalID, TenantID: a.Identity.TenantID},
		Properties: accountPropertiesOut{
			AccountEndpoint: a.Endpoint, NodeManagementEndpoint: a.Location + ".service." + d.Cloud.Batch,
			ProvisioningState: "Succeeded", PoolAllocationMode: "BatchService",
			PublicNetworkAccess: a.PublicNetworkAccess, Connections: []struct{}{},
			Encryption: encryptionJSON{KeySource: a.Encryption.KeySource}, AuthenticationModes: a.AuthenticationModes,
			DedicatedCores: dedicatedCoreQuota, LowPriorityCores: lowPriorityCoreQuota, CoresPerFamily: []struct{}{},
			Pools: poolQuota, ActiveJobs: activeJobQuota,
		},
	}
	for _, u := range a.Identity.User {
		if out.Identity.User == nil {
			out.Identity.User = map[string]userIdentityOut{}
		}
		out.Identity.User[u.ResourceID] = userIdentityOut{u.PrincipalID, u.ClientID}
	}
	if n := a.NetworkProfile; n != nil {
		out.Properties.NetworkProfile = &networkProfileJSON{endpointAccessOut(n.Account), endpointAccessOut(n.NodeManagement)}
	}
	if s := a.AutoStorage; s != nil {
		out.Properties.AutoStorage = &autoStorageJSON{StorageAccountID: s.StorageAccountID, AuthMode: s.AuthMode, LastKeySync: &s.LastKeySync}
		if s.NodeIdentity != "" {
			out.Properties.AutoStorage.NodeIdentity = &nodeIdentityJSON{s.NodeIdentity}
		}
	}
	if a.Encryption.KeySource == account.CustomerKey {
		out.Properties.Encryption.KeyVault = &keyVaultJSON{a.Encryption.KeyIdentifier}
	}
	status, err := d.keyStatus(ctx, a)
	out.Properties.KeyStatus = status
	return out, err
}

// keyStatus shows the state of a customer's key, and of the platform's while the
// account is on its way back to it.
func (d *Door) keyStatus(ctx context.Context, a account.Account) (*keyStatusOut, error) {
	s, err := d.Accounts.Status(a)
	if errors.Is(err, fault.AccountNotFound) || err == nil && a.Encryption.KeySource != account.CustomerKey && s.Resealing == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := &keyStatusOut{
		State: s.State, Reason: s.Reason, Message: s.Message, Since: moment(s.Since), KeyIdentifier: s.KeyID,
		KeyVersionsNeeded: s.KeyVersionsNeeded, LastChecked: moment(s.LastChecked), Generation: s.Generation,
	}
	if p := s.Resealing; p != nil {
		out.Resealing = &resealingOut{p.Done, p.Total, instant(p.Started)}
	}
	u, _, err := d.Accounts.Usage(ctx, a)
	out.Pools, out.Jobs, out.Nodes, out.Tasks = u.Pools, u.Jobs, u.Nodes, u.Tasks
	return out, err
}

// moment leaves out a time that is not known.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = instant(t)
	return &t
}

// instant is a time as Azure writes it, which has no part finer than 100 ns.
func instant(t time.Time) time.Time { return t.UTC().Truncate(100 * time.Nanosecond) }

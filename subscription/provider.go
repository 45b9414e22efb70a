package subscription

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/store"
)

// A Provider is a namespace of resource types.
type Provider struct {
	Namespace string
	// Free providers are part of every subscription and cannot be taken out of it.
	Free  bool
	Types []ProviderType
	// Registered says whether a subscription uses the provider.
	Registered bool
}

// A ProviderType is one resource type.
type ProviderType struct {
	// Name is the type without the namespace: batchAccounts/pools.
	Name string
	// Regional types are made in a location.
	Regional bool
	// Versions are the api-versions that are announced, the newest first; others that
	// are well-formed are answered too.
	Versions []string
	// Tags says that resources of the type carry tags; Identity, that one with tags may
	// also have a system-assigned identity.
	Tags, Identity bool
}

var (
	batchVersions = []string{
		"2025-06-01", "2024-07-01", "2024-02-01", "2023-11-01", "2023-05-01", "2022-10-01", "2022-06-01", "2022-01-01",
		"2021-06-01", "2021-01-01", "2020-09-01", "2020-05-01", "2020-03-01",
	}
	vaultVersions    = []string{"2026-02-01", "2025-05-01", "2024-11-01", "2023-07-01", "2023-02-01", "2022-11-01", "2022-07-01", "2021-10-01", "2019-09-01", "2018-02-14"}
	msiVersions      = []string{"2024-11-30", "2023-01-31", "2022-01-31-preview", "2018-11-30"}
	groupVersions    = []string{"2025-04-01", "2024-11-01", "2024-07-01", "2023-07-01", "2022-12-01", "2022-09-01", "2021-04-01", "2020-10-01", "2019-11-01", "2015-11-01"}
	roleVersions     = []string{"2022-05-01-preview", "2022-04-01", "2020-10-01-preview", "2018-07-01", "2015-07-01"}
	providersWeServe = []Provider{
		{Namespace: "Microsoft.Batch", Types: []ProviderType{
			{Name: "batchAccounts", Regional: true, Versions: batchVersions, Tags: true, Identity: true},
			{Name: "batchAccounts/pools", Versions: batchVersions},
			{Name: "batchAccounts/certificates", Versions: batchVersions},
			{Name: "operations", Versions: batchVersions},
			{Name: "locations", Versions: batchVersions},
			{Name: "locations/quotas", Regional: true, Versions: batchVersions},
			{Name: "locations/checkNameAvailability", Regional: true, Versions: batchVersions},
			{Name: "locations/accountOperationResults", Regional: true, Versions: batchVersions},
			{Name: "locations/virtualMachineSkus", Regional: true, Versions: batchVersions},
		}},
		{Namespace: "Microsoft.KeyVault", Types: []ProviderType{
			{Name: "vaults", Regional: true, Versions: vaultVersions, Tags: true},
			{Name: "vaults/accessPolicies", Versions: vaultVersions},
			{Name: "checkNameAvailability", Versions: vaultVersions},
			{Name: "deletedVaults", Versions: vaultVersions},
			{Name: "operations", Versions: vaultVersions},
			{Name: "locations", Versions: vaultVersions},
			{Name: "locations/deletedVaults", Regional: true, Versions: vaultVersions},
			{Name: "locations/operationResults", Regional: true, Versions: vaultVersions},
			{Name: "managedHSMs", Regional: true, Versions: vaultVersions},
			{Name: "deletedManagedHSMs", Versions: vaultVersions},
		}},
		{Namespace: "Microsoft.ManagedIdentity", Types: []ProviderType{
			{Name: "userAssignedIdentities", Regional: true, Versions: msiVersions, Tags: true},
			{Name: "identities", Versions: msiVersions},
			{Name: "operations", Versions: msiVersions},
		}},
		{Namespace: "Microsoft.Authorization", Free: true, Types: []ProviderType{
			{Name: "roleAssignments", Versions: roleVersions},
			{Name: "roleDefinitions", Versions: roleVersions},
			{Name: "permissions", Versions: roleVersions},
			{Name: "denyAssignments", Versions: roleVersions},
			{Name: "classicAdministrators", Versions: []string{"2015-07-01", "2015-06-01"}},
			{Name: "operations", Versions: roleVersions},
		}},
		{Namespace: "Microsoft.Resources", Free: true, Types: []ProviderType{
			{Name: "tenants", Versions: groupVersions},
			{Name: "locations", Versions: groupVersions},
			{Name: "providers", Versions: groupVersions},
			{Name: "checkresourcename", Versions: groupVersions},
			{Name: "resources", Versions: groupVersions},
			{Name: "subscriptions", Versions: groupVersions},
			{Name: "subscriptions/resources", Versions: groupVersions},
			{Name: "subscriptions/providers", Versions: groupVersions},
			{Name: "subscriptions/operationresults", Versions: groupVersions},
			{Name: "resourceGroups", Versions: groupVersions, Tags: true},
			{Name: "subscriptions/resourceGroups", Versions: groupVersions, Tags: true},
			{Name: "subscriptions/resourceGroups/resources", Versions: groupVersions},
			{Name: "subscriptions/locations", Versions: groupVersions},
			{Name: "operations", Versions: groupVersions},
		}},
	}
)

// KnownProvider returns the provider of a namespace as it is before anybody has
// registered or unregistered it.
func KnownProvider(namespace string) (Provider, bool) {
	for _, p := range providersWeServe {
		if resource.Equal(p.Namespace, namespace) {
			p.Registered = true
			return p, true
		}
	}
	return Provider{}, false
}

// KnownProviders returns all of them.
func KnownProviders() []Provider {
	out := slices.Clone(providersWeServe)
	for i := range out {
		out[i].Registered = true
	}
	return out
}

// Type returns a resource type of the provider, in any case of its letters.
func (p Provider) Type(name string) (ProviderType, bool) {
	for _, t := range p.Types {
		if resource.Equal(t.Name, name) {
			return t, true
		}
	}
	return ProviderType{}, false
}

// providerRecord says that somebody registered or unregistered a provider. Without a
// record a provider is registered, so that a new subscription can be used at once.
type providerRecord struct {
	Registered bool
	Changed    time.Time
}

// Providers lists the providers as a subscription has them.
func (s *Service) Providers(ctx context.Context, subscription string) ([]Provider, error) {
	out := KnownProviders()
	for i := range out {
		p, err := s.Provider(ctx, subscription, out[i].Namespace)
		if err != nil {
			return nil, err
		}
		out[i] = p
	}
	return out, nil
}

// Provider returns a provider as a subscription has it. It fails with
// fault.InvalidResourceNamespace.
func (s *Service) Provider(ctx context.Context, subscription, namespace string) (Provider, error) {
	p, ok := KnownProvider(namespace)
	if !ok {
		return Provider{}, fault.InvalidResourceNamespace.New("The resource namespace '%s' is invalid.", namespace)
	}
	if p.Free {
		return p, nil
	}
	err := s.view(ctx, func(tx *store.Tx) error {
		r, err := tx.Lookup(store.KindProvider, store.RID{}, providerKey(subscription, p.Namespace))
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		var stored providerRecord
		err = r.Decode(&stored)
		p.Registered = stored.Registered
		return err
	})
	if err != nil {
		return Provider{}, fmt.Errorf("looking up a provider: %w", err)
	}
	return p, nil
}

func providerKey(subscription, namespace string) string { return subscription + "/" + namespace }

// RequireProvider fails with fault.MissingRegistration if a subscription does not use
// a provider: nothing new is made of its types then.
func (s *Service) RequireProvider(ctx context.Context, subscription, namespace string) error {
	p, err := s.Provider(ctx, subscription, namespace)
	if err != nil {
		return err
	}
	if !p.Registered {
		return fault.MissingRegistration.New("The subscription is not registered to use namespace '%s'. See https://aka.ms/rps-not-found for how to register subscriptions.",
			p.Namespace)
	}
	return nil
}

// Register enters a provider in a subscription, or takes it out if on is false. One
// that has resources stays.
func (s *Service) Register(ctx context.Context, who identity.Caller, subscription, namespace string, on bool) (Provider, error) {
	p, err := s.Provider(ctx, subscription, namespace)
	if err != nil {
		return Provider{}, err
	}
	verb := "register"
	if !on {
		verb = "unregister"
	}
	scope := "/subscriptions/" + subscription
	if err := s.directory.Require(ctx, who, p.Namespace+"/"+verb+"/action", scope); err != nil {
		return Provider{}, err
	}
	if p.Registered == on {
		return p, nil
	}
	if p.Free {
		return Provider{}, fault.Conflict.New("The namespace '%s' is part of every subscription and cannot be unregistered.", p.Namespace)
	}
	if !on {
		if err := s.unused(ctx, scope, p.Namespace); err != nil {
			return Provider{}, err
		}
	}
	p.Registered = on
	return p, s.update(ctx, func(tx *store.Tx) error {
		v := providerRecord{Registered: on, Changed: time.Now().UTC()}
		r, err := tx.Lookup(store.KindProvider, store.RID{}, providerKey(subscription, p.Namespace))
		if errors.Is(err, store.ErrNotFound) {
			_, err = tx.Insert(store.KindProvider, store.RID{}, providerKey(subscription, p.Namespace), store.Clear{}, v)
			return err
		}
		if err != nil {
			return err
		}
		return tx.Put(r, store.Clear{}, v)
	})
}

// unused fails if there is a resource of a namespace in a scope.
func (s *Service) unused(ctx context.Context, scope, namespace string) error {
	for _, m := range s.members {
		in, err := m.List(ctx, scope)
		if err != nil {
			return fmt.Errorf("listing resources: %w", err)
		}
		for _, r := range in {
			id, err := resource.ParseID(r.ID)
			if err == nil && resource.Equal(id.Provider, namespace) {
				return fault.Conflict.New("Cannot unregister the namespace '%s': the subscription has resources of it, such as '%s'.", namespace, r.ID)
			}
		}
	}
	return nil
}

// reservedNames are what checkResourceName refuses, anywhere in a name or as the
// whole of it.
var (
	reservedWords = []string{"login", "microsoft", "windows", "xbox"}
	reservedNames = []string{
		"access", "azure", "bing", "bizspark", "biztalk", "cortana", "directx", "dotnet", "dynamics", "excel", "exchange", "forefront",
		"groove", "hololens", "hyperv", "kinect", "lync", "msdn", "o365", "office", "office365", "onedrive", "onenote", "outlook",
		"powerpoint", "sharepoint", "skype", "visio", "visualstudio",
	}
)

// NameAllowed reports whether a resource may have a name, by the list of words that
// are trademarks.
func NameAllowed(name string) bool {
	folded := resource.Fold(name)
	return !slices.Contains(reservedNames, folded) &&
		!slices.ContainsFunc(reservedWords, func(w string) bool { return strings.Contains(folded, w) })
}

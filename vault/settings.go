package vault

import (
	"maps"
	"net/netip"
	"slices"

	"latchkey/fault"
	"latchkey/resource"
)

// The days for which deleted things can be kept.
const (
	minRetention = 7
	maxRetention = 90
)

// Settings is what a caller asks a vault to be. What is nil was not given: a new
// vault gets the default, Put sets the default again, Update leaves what there is.
// What can never be undone (purge protection, retention) stays in all cases.
type Settings struct {
	// Location is needed by Put only.
	Location                                                string
	Tags                                                    map[string]string
	Tenant                                                  *string
	SKU                                                     *SKU
	Policies                                                *[]Policy
	ForDeployment, ForDiskEncryption, ForTemplateDeployment *bool
	RBAC, SoftDelete, PurgeProtection                       *bool
	Retention                                               *int
	Network                                                 *Network
	PublicNetworkAccess                                     *string
	// RolesByDefault makes roles decide in a new vault for which RBAC is not given, as
	// Azure's api-versions from 2026-02-01 on do.
	RolesByDefault bool
	// Recover brings a deleted vault back as it was; nothing else that is set here
	// counts then.
	Recover bool
}

// check says what is wrong with settings whatever vault they are for.
func (s Settings) check(tenant string) error {
	if s.Tenant != nil && !resource.Equal(*s.Tenant, tenant) {
		return invalid("tenantId", "the vault must have the tenant of its subscription, %s", tenant)
	}
	if s.SKU != nil {
		if !resource.Equal(s.SKU.Family, "A") {
			return invalid("sku.family", "it must be A")
		}
		if !resource.Equal(s.SKU.Name, "standard") && !resource.Equal(s.SKU.Name, "premium") {
			return invalid("sku.name", "it must be standard or premium")
		}
	}
	if s.Policies != nil {
		if err := checkPolicies(tenant, *s.Policies); err != nil {
			return err
		}
	}
	if s.SoftDelete != nil && !*s.SoftDelete {
		return fault.VaultBadRequest.New(`The property "enableSoftDelete" cannot be set to false. ` +
			`Enabling the 'soft delete' functionality is an irreversible action.`)
	}
	if s.PurgeProtection != nil && !*s.PurgeProtection {
		return fault.VaultBadRequest.New(`The property "enablePurgeProtection" cannot be set to false. ` +
			`Enabling the purge protection for a vault is an irreversible action.`)
	}
	if s.Retention != nil && (*s.Retention < minRetention || *s.Retention > maxRetention) {
		return invalid("softDeleteRetentionInDays", "it must be a number of days from %d to %d", minRetention, maxRetention)
	}
	if p := s.PublicNetworkAccess; p != nil && !resource.Equal(*p, "Enabled") && !resource.Equal(*p, "Disabled") {
		return invalid("publicNetworkAccess", "it must be Enabled or Disabled")
	}
	if s.Network != nil {
		return s.Network.check()
	}
	return nil
}

func (n *Network) check() error {
	if b := n.Bypass; b != "" && !resource.Equal(b, "AzureServices") && !resource.Equal(b, "None") {
		return invalid("networkAcls.bypass", "it must be AzureServices or None")
	}
	if a := n.DefaultAction; a != "" && !resource.Equal(a, "Allow") && !resource.Equal(a, "Deny") {
		return invalid("networkAcls.defaultAction", "it must be Allow or Deny")
	}
	for _, address := range n.Addresses {
		_, err := netip.ParsePrefix(address)
		if _, aerr := netip.ParseAddr(address); err != nil && aerr != nil {
			return invalid("networkAcls.ipRules", "'%s' is neither an address nor a range in CIDR form", address)
		}
	}
	for _, subnet := range n.Subnets {
		if _, err := resource.ParseID(subnet.ID); err != nil {
			return invalid("networkAcls.virtualNetworkRules", "'%s' is not the id of a subnet", subnet.ID)
		}
	}
	return nil
}

// complete says what a PUT must have and these settings lack.
func (s Settings) complete() error {
	switch {
	case s.Tenant == nil:
		return invalid("tenantId", "it must be given")
	case s.SKU == nil:
		return invalid("sku", "it must be given")
	case s.Policies == nil && !s.roles():
		return invalid("accessPolicies", "it must be given unless roles decide (enableRbacAuthorization)")
	}
	return nil
}

// roles reports whether roles decide in a new vault with these settings.
func (s Settings) roles() bool {
	if s.RBAC == nil {
		return s.RolesByDefault
	}
	return *s.RBAC
}

// reset sets what a PUT does not mention back to the default. Who decides, policies or
// roles, only changes when it is said.
func (v *Vault) reset() {
	v.Tags, v.Policies, v.Network = nil, nil, nil
	v.ForDeployment, v.ForDiskEncryption, v.ForTemplateDeployment = false, false, false
	v.PublicNetworkAccess = "Enabled"
}

// apply makes the vault what the settings ask for. It does not change what the vault
// shares with others.
func (v *Vault) apply(s Settings) error {
	if s.Retention != nil && v.Retention != 0 && *s.Retention != v.Retention {
		return fault.VaultBadRequest.New(`The property "softDeleteRetentionInDays" has been set already and it can't be modified.`)
	}
	set(&v.Tenant, s.Tenant)
	set(&v.SKU, s.SKU)
	if s.Tags != nil {
		v.Tags = maps.Clone(s.Tags)
	}
	if s.Policies != nil {
		v.Policies = slices.Clone(*s.Policies)
	}
	set(&v.ForDeployment, s.ForDeployment)
	set(&v.ForDiskEncryption, s.ForDiskEncryption)
	set(&v.ForTemplateDeployment, s.ForTemplateDeployment)
	set(&v.RBAC, s.RBAC)
	set(&v.PurgeProtection, s.PurgeProtection)
	set(&v.Retention, s.Retention)
	set(&v.PublicNetworkAccess, s.PublicNetworkAccess)
	if s.Network != nil {
		v.Network = s.Network
	}
	if v.Retention == 0 {
		v.Retention = maxRetention
	}
	return nil
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

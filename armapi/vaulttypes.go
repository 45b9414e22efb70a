package armapi

import (
	"time"

	"latchkey/fault"
	"latchkey/resource"
	"latchkey/rest"
	"latchkey/vault"
)

// vaultIn is the body of PUT and PATCH. What tools echo and nobody may set (vaultUri,
// provisioningState) is not read.
type vaultIn struct {
	Location   string            `json:"location"`
	Tags       map[string]string `json:"tags"`
	Properties *struct {
		Tenant                *string             `json:"tenantId"`
		SKU                   *skuJSON            `json:"sku"`
		Policies              *[]accessPolicyJSON `json:"accessPolicies"`
		ForDeployment         *bool               `json:"enabledForDeployment"`
		ForDiskEncryption     *bool               `json:"enabledForDiskEncryption"`
		ForTemplateDeployment *bool               `json:"enabledForTemplateDeployment"`
		SoftDelete            *bool               `json:"enableSoftDelete"`
		Retention             *rest.Int           `json:"softDeleteRetentionInDays"`
		RBAC                  *bool               `json:"enableRbacAuthorization"`
		PurgeProtection       *bool               `json:"enablePurgeProtection"`
		CreateMode            *string             `json:"createMode"`
		Network               *networkJSON        `json:"networkAcls"`
		PublicNetworkAccess   *string             `json:"publicNetworkAccess"`
	} `json:"properties"`
}

type skuJSON struct {
	Family string `json:"family"`
	Name   string `json:"name"`
}

type accessPolicyJSON struct {
	Tenant      string          `json:"tenantId"`
	ObjectID    string          `json:"objectId"`
	Application string          `json:"applicationId,omitempty"`
	Permissions permissionsJSON `json:"permissions"`
}

type permissionsJSON struct {
	Keys         []string `json:"keys"`
	Secrets      []string `json:"secrets"`
	Certificates []string `json:"certificates"`
	Storage      []string `json:"storage,omitempty"`
}

type networkJSON struct {
	Bypass        string       `json:"bypass,omitempty"`
	DefaultAction string       `json:"defaultAction,omitempty"`
	Addresses     []ipRule     `json:"ipRules"`
	Subnets       []subnetRule `json:"virtualNetworkRules"`
}

type ipRule struct {
	Value string `json:"value"`
}

type subnetRule struct {
	ID                    string `json:"id"`
	IgnoreMissingEndpoint *bool  `json:"ignoreMissingVnetServiceEndpoint,omitempty"`
}

func (in vaultIn) settings() (vault.Settings, error) {
	out := vault.Settings{Location: in.Location, Tags: in.Tags}
	p := in.Properties
	if p == nil {
		return out, nil
	}
	out.Tenant, out.ForDeployment, out.ForDiskEncryption = p.Tenant, p.ForDeployment, p.ForDiskEncryption
	out.ForTemplateDeployment, out.RBAC, out.SoftDelete = p.ForTemplateDeployment, p.RBAC, p.SoftDelete
	out.PurgeProtection, out.PublicNetworkAccess = p.PurgeProtection, p.PublicNetworkAccess
	if p.SKU != nil {
		out.SKU = &vault.SKU{Family: p.SKU.Family, Name: p.SKU.Name}
	}
	if p.Policies != nil {
		policies := accessPoliciesIn(*p.Policies)
		out.Policies = &policies
	}
	if p.Retention != nil {
		// What is too large for the service is too large for the days.
		days := int(min(max(*p.Retention, -1), 1<<20))
		out.Retention = &days
	}
	if p.CreateMode != nil {
		switch resource.Fold(*p.CreateMode) {
		case "recover":
			out.Recover = true
		case "default", "":
		default:
			return out, fault.VaultBadRequest.New("An invalid value was provided for 'createMode'. It must be recover or default.")
		}
	}
	if n := p.Network; n != nil {
		out.Network = &vault.Network{Bypass: n.Bypass, DefaultAction: n.DefaultAction}
		for _, a := range n.Addresses {
			out.Network.Addresses = append(out.Network.Addresses, a.Value)
		}
		for _, s := range n.Subnets {
			out.Network.Subnets = append(out.Network.Subnets, vault.Subnet(s))
		}
	}
	return out, nil
}

func accessPoliciesIn(in []accessPolicyJSON) []vault.Policy {
	out := make([]vault.Policy, 0, len(in))
	for _, p := range in {
		out = append(out, vault.Policy{
			Tenant: p.Tenant, ObjectID: p.ObjectID, Application: p.Application,
			Keys: p.Permissions.Keys, Secrets: p.Permissions.Secrets, Certificates: p.Permissions.Certificates, Storage: p.Permissions.Storage,
		})
	}
	return out
}

type vaultOut struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Type       string            `json:"type"`
	Location   string            `json:"location"`
	Tags       map[string]string `json:"tags"`
	SystemData systemDataOut     `json:"systemData"`
	Properties vaultFields       `json:"properties"`
}

type systemDataOut struct {
	CreatedBy      string    `json:"createdBy"`
	CreatedByType  string    `json:"createdByType"`
	CreatedAt      time.Time `json:"createdAt"`
	ModifiedBy     string    `json:"lastModifiedBy"`
	ModifiedByType string    `json:"lastModifiedByType"`
	ModifiedAt     time.Time `json:"lastModifiedAt"`
}

type vaultFields struct {
	SKU                   skuJSON            `json:"sku"`
	Tenant                string             `json:"tenantId"`
	Network               *networkJSON       `json:"networkAcls,omitempty"`
	Policies              []accessPolicyJSON `json:"accessPolicies"`
	ForDeployment         bool               `json:"enabledForDeployment"`
	ForDiskEncryption     bool               `json:"enabledForDiskEncryption"`
	ForTemplateDeployment bool               `json:"enabledForTemplateDeployment"`
	SoftDelete            bool               `json:"enableSoftDelete"`
	Retention             int                `json:"softDeleteRetentionInDays"`
	RBAC                  bool               `json:"enableRbacAuthorization"`
	// PurgeProtection is not told when it is off: tools send back what they read, and
	// false is refused.
	PurgeProtection     *bool  `json:"enablePurgeProtection,omitempty"`
	VaultURI            string `json:"vaultUri"`
	State               string `json:"provisioningState"`
	PublicNetworkAccess string `json:"publicNetworkAccess"`
}

// accessPoliciesBody is the answer to a change of access policies.
type accessPoliciesBody struct {
	ID         string `json:"id"`
	Type       string `json:"type"`
	Location   string `json:"location"`
	Properties struct {
		Policies []accessPolicyJSON `json:"accessPolicies"`
	} `json:"properties"`
}

func (d *Door) vaultOut(v vault.Vault) vaultOut {
	out := vaultOut{
		ID: v.ID, Name: v.Name, Type: vault.Type, Location: v.Location, Tags: notNil(v.Tags),
		SystemData: systemDataOut{
			v.Created.By, principalType(v.Created.Kind), v.Created.At,
			v.Modified.By, principalType(v.Modified.Kind), v.Modified.At,
		},
		Properties: vaultFields{
			SKU: skuJSON{v.SKU.Family, v.SKU.Name}, Tenant: v.Tenant, Policies: accessPoliciesOut(v.Policies),
			ForDeployment: v.ForDeployment, ForDiskEncryption: v.ForDiskEncryption, ForTemplateDeployment: v.ForTemplateDeployment,
			SoftDelete: true, Retention: v.Retention, RBAC: v.RBAC, PurgeProtection: onlyTrue(v.PurgeProtection),
			VaultURI: d.Cloud.VaultURI(v.Name), State: "Succeeded", PublicNetworkAccess: v.PublicNetworkAccess,
		},
	}
	if n := v.Network; n != nil {
		rules := &networkJSON{Bypass: n.Bypass, DefaultAction: n.DefaultAction, Addresses: []ipRule{}, Subnets: []subnetRule{}}
		for _, a := range n.Addresses {
			rules.Addresses = append(rules.Addresses, ipRule{a})
		}
		for _, s := range n.Subnets {
			rules.Subnets = append(rules.Subnets, subnetRule(s))
		}
		out.Properties.Network = rules
	}
	return out
}

func accessPoliciesOut(policies []vault.Policy) []accessPolicyJSON {
	out := make([]accessPolicyJSON, 0, len(policies))
	for _, p := range policies {
		out = append(out, accessPolicyJSON{p.Tenant, p.ObjectID, p.Application, permissionsJSON{
			Keys: listed(p.Keys), Secrets: listed(p.Secrets), Certificates: listed(p.Certificates), Storage: p.Storage,
		}})
	}
	return out
}

func listed(permissions []string) []string {
	if permissions == nil {
		return []string{}
	}
	return permissions
}

func notNil(tags map[string]string) map[string]string {
	if tags == nil {
		return map[string]string{}
	}
	return tags
}

func onlyTrue(b bool) *bool {
	if !b {
		return nil
	}
	return &b
}

// principalType is Azure's word for a kind of caller in systemData.
func principalType(kind string) string {
	switch kind {
	case "user":
		return "User"
	case "managed identity":
		return "ManagedIdentity"
	}
	return "Application"
}

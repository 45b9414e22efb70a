package resource

import "strings"

// A Cloud is a cloud profile: the host names that clients use. Ids and URLs that we
// store or print are made from it, never from the port of the day.
type Cloud struct {
	// Name is what metadata calls the cloud: AzureCloud for the public names.
	Name string
	// Management, Login, Graph and Portal are single hosts.
	Management, Login, Graph, Portal string
	// Vault and Batch are suffixes: a vault is V.Vault, an account is
	// A.REGION.Batch.
	Vault, Batch string
	// BatchAudience is the resource that tokens for Batch are asked for.
	BatchAudience string
	// ManagementAudiences are accepted by Resource Manager; the first is announced.
	ManagementAudiences []string
	// Storage is announced in metadata because some clients refuse a cloud without
	// it; nothing answers there.
	Storage string
}

// Azure is the default profile: the public cloud's own names, which a client reaches
// through the proxy.
func Azure() Cloud {
	return Cloud{
		Name:                "AzureCloud",
		Management:          "management.azure.com",
		Login:               "login.microsoftonline.com",
		Graph:               "graph.microsoft.com",
		Portal:              "portal.azure.com",
		Vault:               "vault.azure.net",
		Batch:               "batch.azure.com",
		BatchAudience:       "https://batch.core.windows.net/",
		ManagementAudiences: []string{"https://management.core.windows.net/", "https://management.azure.com/"},
		Storage:             "core.windows.net",
	}
}

// Own is the profile of a cloud under a domain of one's own. The domain may carry a
// port, as in localhost:8443; then so does every name.
func Own(domain string) Cloud {
	return Cloud{
		Name:                "Latchkey",
		Management:          "management." + domain,
		Login:               "login." + domain,
		Graph:               "graph." + domain,
		Portal:              "portal." + domain,
		Vault:               "vault." + domain,
		Batch:               "batch." + domain,
		BatchAudience:       "https://batch." + domain + "/",
		ManagementAudiences: []string{"https://management." + domain + "/"},
		Storage:             "storage." + domain,
	}
}

// A Door is one of the doors that a host name leads to.
type Door int

// The doors.
const (
	NoDoor Door = iota
	ManagementDoor
	LoginDoor
	GraphDoor
	VaultDoor
	BatchDoor
	PortalDoor
)

// Route says which door a host name leads to, and for a vault or a Batch account the
// name in front of the suffix (for Batch: account and region). Ports are ignored.
func (c Cloud) Route(host string) (door Door, name, region string) {
	host = bare(host)
	switch host {
	case bare(c.Management):
		return ManagementDoor, "", ""
	case bare(c.Login):
		return LoginDoor, "", ""
	case bare(c.Graph):
		return GraphDoor, "", ""
	case bare(c.Portal):
		return PortalDoor, "", ""
	}
	// The authority has other names in Azure's own discovery document, and older
	// libraries use them.
	if c.Name == "AzureCloud" && (host == "login.windows.net" || host == "sts.windows.net" || host == "login.microsoft.com") {
		return LoginDoor, "", ""
	}
	if name, ok := strings.CutSuffix(host, "."+bare(c.Vault)); ok && name != "" && !strings.Contains(name, ".") {
		return VaultDoor, name, ""
	}
	if rest, ok := strings.CutSuffix(host, "."+bare(c.Batch)); ok {
		if name, region, ok := strings.Cut(rest, "."); ok && name != "" && region != "" && !strings.Contains(region, ".") {
			return BatchDoor, name, region
		}
	}
	return NoDoor, "", ""
}

// VaultURI returns the address of a vault, ending in a slash as Azure's does.
func (c Cloud) VaultURI(name string) string { return "https://" + Fold(name) + "." + c.Vault + "/" }

// AccountEndpoint returns the host of a Batch account, without a scheme.
func (c Cloud) AccountEndpoint(name, region string) string {
	return Fold(name) + "." + region + "." + c.Batch
}

// Suffixes returns the names below which the local certificate authority may vouch:
// exact hosts as they are, families with a leading dot.
func (c Cloud) Suffixes() []string {
	names := []string{bare(c.Management), bare(c.Login), bare(c.Graph), bare(c.Portal), "." + bare(c.Vault), "." + bare(c.Batch)}
	if c.Name == "AzureCloud" {
		names = append(names, "login.windows.net", "sts.windows.net", "login.microsoft.com")
	}
	return names
}

// bare folds a host and takes its port away.
func bare(host string) string {
	host = Fold(host)
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return strings.TrimSuffix(host, ".")
}

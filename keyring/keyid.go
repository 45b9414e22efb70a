package keyring

import (
	"net/url"
	"regexp"
	"strings"

	"latchkey/fault"
	"latchkey/resource"
)

// A KeyID names a key in a vault.
type KeyID struct {
	// Vault is the vault's address without a path: https://HOST[:PORT].
	Vault string
	Name  string
	// Version is empty in an identifier that follows the newest version.
	Version string
}

// String writes the identifier as Key Vault does.
func (k KeyID) String() string {
	s := k.Vault + "/keys/" + k.Name
	if k.Version != "" {
		s += "/" + k.Version
	}
	return s
}

// Host returns the vault's host without a port.
func (k KeyID) Host() string {
	u, err := url.Parse(k.Vault)
	if err != nil {
		return ""
	}
	return resource.Fold(u.Hostname())
}

// At returns the identifier of one version of the same key.
func (k KeyID) At(version string) KeyID {
	k.Version = version
	return k
}

var (
	keyName    = regexp.MustCompile(`^[0-9a-zA-Z-]{1,127}$`)
	keyVersion = regexp.MustCompile(`^[0-9a-zA-Z]{1,64}$`)
	hostLabel  = regexp.MustCompile(`^[0-9a-z]([0-9a-z-]*[0-9a-z])?$`)
)

// azureVaults are the suffixes of vaults and managed HSMs in Azure's clouds.
var azureVaults = []string{
	"vault.azure.net", "vault.azure.cn", "vault.usgovcloudapi.net",
	"managedhsm.azure.net", "managedhsm.azure.cn", "managedhsm.usgovcloudapi.net",
}

// ParseKeyID reads a key identifier in any form in which an owner may give it:
//
//	https://VAULT.vault.azure.net/keys/NAME[/VERSION]
//	/subscriptions/S/resourceGroups/G/providers/Microsoft.KeyVault/vaults/VAULT/keys/NAME[/versions/VERSION]
//
// The second form may be a URL on the management host, or the file: URL that .NET's
// Uri makes of it.
func (r *Ring) ParseKeyID(s string) (KeyID, error) {
	if s == "" {
		return KeyID{}, refuseID("The key identifier is empty.")
	}
	u, err := url.Parse(s)
	if err != nil || len(s) > 2048 {
		return KeyID{}, refuseID("The key identifier %q is not a URL.", clip(s))
	}
	management := u.Scheme == "https" && resource.Equal(u.Host, r.cfg.Cloud.Management)
	if u.Scheme == "" || u.Scheme == "file" || management {
		return r.parseKeyResource(s, u.Path)
	}
	if u.Scheme != "https" {
		return KeyID{}, refuseID("The key identifier %q must begin with https://.", clip(s))
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return KeyID{}, refuseID("The key identifier %q must end with the key's name or version.", clip(s))
	}
	host := resource.Fold(u.Host)
	if !r.vaultHost(host) {
		return KeyID{}, refuseID("The key identifier %q is not in a key vault: its host must be VAULT.%s.", clip(s), r.cfg.Cloud.Vault)
	}
	parts := strings.Split(strings.TrimSuffix(strings.TrimPrefix(u.Path, "/"), "/"), "/")
	if len(parts) < 2 || len(parts) > 3 || !resource.Equal(parts[0], "keys") {
		return KeyID{}, refuseID("The key identifier %q does not name a key: its path must be /keys/NAME or /keys/NAME/VERSION.", clip(s))
	}
	id := KeyID{Vault: "https://" + host, Name: parts[1]}
	if len(parts) == 3 {
		id.Version = parts[2]
	}
	return id, id.check(s)
}

func (r *Ring) parseKeyResource(s, path string) (KeyID, error) {
	arm, err := resource.ParseID(path)
	if err != nil || !arm.Is("Microsoft.KeyVault/vaults/keys") && !arm.Is("Microsoft.KeyVault/vaults/keys/versions") {
		return KeyID{}, refuseID("%q is neither a key identifier (https://VAULT.%s/keys/NAME) nor the resource id of a key.", clip(s), r.cfg.Cloud.Vault)
	}
	id := KeyID{Vault: strings.TrimSuffix(r.cfg.Cloud.VaultURI(arm.Names[0]), "/"), Name: arm.Names[1]}
	if len(arm.Names) == 3 {
		id.Version = arm.Names[2]
	}
	if !hostLabel.MatchString(resource.Fold(arm.Names[0])) {
		return KeyID{}, refuseID("%q does not name a vault.", clip(s))
	}
	return id, id.check(s)
}

func (k KeyID) check(s string) error {
	if !keyName.MatchString(k.Name) {
		return refuseID("The key identifier %q has no valid name of a key: it is 1 to 127 letters, digits and hyphens.", clip(s))
	}
	if k.Version != "" && !keyVersion.MatchString(k.Version) {
		return refuseID("The key identifier %q has no valid version of a key: it is letters and digits.", clip(s))
	}
	return nil
}

// vaultHost reports whether a host, with or without a port, may be a vault. The
// service sends requests to it, so it is not for the owner alone to say.
func (r *Ring) vaultHost(host string) bool {
	bare, port, _ := strings.Cut(host, ":")
	if strings.Trim(port, "0123456789") != "" {
		return false
	}
	for _, suffixes := range [][]string{{r.cfg.Cloud.Vault}, azureVaults, r.cfg.Vaults} {
		for _, suffix := range suffixes {
			suffix, _, _ = strings.Cut(resource.Fold(suffix), ":")
			if name, ok := strings.CutSuffix(bare, "."+suffix); ok && suffix != "" && hostLabel.MatchString(name) {
				return true
			}
		}
	}
	return false
}

func refuseID(format string, args ...any) error {
	return fault.KeyRefused.New(format, args...).With("reason", string(KeyIDInvalid))
}

// clip keeps what a caller wrote to a length that fits into a message.
func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

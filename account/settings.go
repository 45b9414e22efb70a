package account

import (
	"net/netip"
	"slices"
	"time"

	"latchkey/fault"
	"latchkey/resource"
)

// A NetworkProfile says from where an account may be reached. It is kept and shown.
type NetworkProfile struct{ Account, NodeManagement *EndpointAccess }

// EndpointAccess is the rule of one endpoint.
type EndpointAccess struct {
	DefaultAction string
	IPRules       []IPRule
}

// An IPRule lets addresses in.
type IPRule struct{ Action, Value string }

// AutoStorage is the storage account of application packages. It is kept and shown;
// nothing is stored there.
type AutoStorage struct {
	StorageAccountID string
	AuthMode         string
	NodeIdentity     string
	LastKeySync      time.Time
}

// SettingsIn are settings as a caller asks for them; nil says nothing.
type SettingsIn struct {
	PublicNetworkAccess *string
	NetworkProfile      *NetworkProfile
	// AutoStorage with an empty storage account takes the setting away.
	AutoStorage         *AutoStorage
	AuthenticationModes *[]string
}

// defaults are the settings of an account of which nothing was said.
func defaults() Settings {
	return Settings{PublicNetworkAccess: "Enabled", AuthenticationModes: []string{SharedKey, AAD, TaskToken}}
}

// apply brings settings to what is asked for.
func (s *Settings) apply(in SettingsIn) error {
	if in.PublicNetworkAccess != nil {
		v, ok := oneOf(*in.PublicNetworkAccess, "Enabled", "Disabled", "SecuredByPerimeter")
		if !ok {
			return invalid("publicNetworkAccess", *in.PublicNetworkAccess, "'Enabled', 'Disabled' or 'SecuredByPerimeter'")
		}
		s.PublicNetworkAccess = v
	}
	if in.NetworkProfile != nil {
		for _, e := range []*EndpointAccess{in.NetworkProfile.Account, in.NetworkProfile.NodeManagement} {
			if err := e.check(); err != nil {
				return err
			}
		}
		s.NetworkProfile = in.NetworkProfile
	}
	if in.AuthenticationModes != nil {
		modes := []string{}
		for _, m := range *in.AuthenticationModes {
			v, ok := oneOf(m, SharedKey, AAD, TaskToken)
			if !ok {
				return invalid("allowedAuthenticationModes", m, "'SharedKey', 'AAD' or 'TaskAuthenticationToken'")
			}
			if !slices.Contains(modes, v) {
				modes = append(modes, v)
			}
		}
		if len(modes) == 0 {
			modes = defaults().AuthenticationModes
		}
		s.AuthenticationModes = modes
	}
	if in.AutoStorage != nil {
		return s.store(*in.AutoStorage)
	}
	return nil
}

func (s *Settings) store(in AutoStorage) error {
	if in.StorageAccountID == "" {
		s.AutoStorage = nil
		return nil
	}
	id, err := resource.ParseID(in.StorageAccountID)
	if err != nil || !id.Is("Microsoft.Storage/storageAccounts") && !id.Is("Microsoft.ClassicStorage/storageAccounts") {
		return invalid("autoStorage.storageAccountId", in.StorageAccountID, "the resource id of a storage account")
	}
	if in.AuthMode == "" {
		in.AuthMode = "StorageKeys"
	}
	mode, ok := oneOf(in.AuthMode, "StorageKeys", "BatchAccountManagedIdentity")
	if !ok {
		return invalid("autoStorage.authenticationMode", in.AuthMode, "'StorageKeys' or 'BatchAccountManagedIdentity'")
	}
	in.AuthMode, in.LastKeySync = mode, time.Now().UTC()
	if old := s.AutoStorage; old != nil && resource.Equal(old.StorageAccountID, in.StorageAccountID) {
		in.LastKeySync = old.LastKeySync
	}
	s.AutoStorage = &in
	return nil
}

func (e *EndpointAccess) check() error {
	if e == nil {
		return nil
	}
	v, ok := oneOf(e.DefaultAction, "Allow", "Deny")
	if !ok {
		return invalid("networkProfile.defaultAction", e.DefaultAction, "'Allow' or 'Deny'")
	}
	e.DefaultAction = v
	for i, r := range e.IPRules {
		if e.IPRules[i].Action, ok = oneOf(r.Action, "Allow"); !ok {
			return invalid("networkProfile.ipRules.action", r.Action, "'Allow'")
		}
		if _, err := netip.ParseAddr(r.Value); err == nil {
			continue
		}
		if _, err := netip.ParsePrefix(r.Value); err != nil {
			return invalid("networkProfile.ipRules.value", r.Value, "an IP address or a range of addresses (CIDR)")
		}
	}
	return nil
}

// oneOf returns the choice that s is, without regard to case.
func oneOf(s string, choices ...string) (string, bool) {
	for _, c := range choices {
		if resource.Equal(s, c) {
			return c, true
		}
	}
	return "", false
}

func invalid(property, value, want string) error {
	return fault.InvalidPropertyValue.New("The value '%.128s' of the property '%s' is invalid. It must be %s.", value, property, want).
		With("PropertyName", property).With("PropertyValue", value)
}

package armapi

import (
	"net/http"

	"latchkey/identity"
	"latchkey/rest"
	"latchkey/subscription"
)

func (d *Door) metadataRoutes() {
	d.door.Open("GET /metadata/endpoints", d.metadata)
}

// metadata tells clients where everything is, before they have a token. Its form
// depends on the api-version; each client crashes on the others' forms.
func (d *Door) metadata(r *http.Request, _ identity.Caller) (rest.Reply, error) {
	// Dates written this way compare as texts.
	switch version := rest.Query(r, "api-version"); {
	case version < "2018-01-01":
		return rest.OK(d.oldMetadata()), nil
	case version < "2019-05-01":
		return rest.OK(d.cloudEndpoints()), nil
	case version < "2022-09-01":
		// Only az asks for this one, through ARM_CLOUD_METADATA_URL.
		return rest.OK([]metadataOut{d.newMetadata(d.adfs())}), nil
	}
	return rest.OK(d.newMetadata(d.login())), nil
}

func (d *Door) login() string { return "https://" + d.Cloud.Login }

// adfs is the authority in the form for which az asks nobody on the internet whether
// it is one. The public cloud's needs no such form.
func (d *Door) adfs() string {
	if d.Cloud.Name == "AzureCloud" {
		return d.login()
	}
	return d.login() + "/adfs"
}

type authenticationOut struct {
	LoginEndpoint    string   `json:"loginEndpoint"`
	Audiences        []string `json:"audiences"`
	Tenant           string   `json:"tenant,omitempty"`
	IdentityProvider string   `json:"identityProvider,omitempty"`
}

// oldMetadataOut is the form of 2015-01-01.
type oldMetadataOut struct {
	GalleryEndpoint string            `json:"galleryEndpoint"`
	GraphEndpoint   string            `json:"graphEndpoint"`
	PortalEndpoint  string            `json:"portalEndpoint"`
	Authentication  authenticationOut `json:"authentication"`
}

func (d *Door) oldMetadata() oldMetadataOut {
	return oldMetadataOut{
		GalleryEndpoint: "https://" + d.Cloud.Management + "/",
		GraphEndpoint:   "https://" + d.Cloud.Graph + "/",
		PortalEndpoint:  "https://" + d.Cloud.Portal + "/",
		Authentication:  authenticationOut{LoginEndpoint: d.adfs(), Audiences: d.Cloud.ManagementAudiences},
	}
}

// cloudEndpointsOut is the form of 2018-01-01: the old one, and where each cloud's
// Resource Manager is with its locations.
type cloudEndpointsOut struct {
	oldMetadataOut
	GraphAudience string                      `json:"graphAudience"`
	CloudEndpoint map[string]cloudEndpointOut `json:"cloudEndpoint"`
}

type cloudEndpointOut struct {
	Endpoint  string   `json:"endpoint"`
	Locations []string `json:"locations"`
}

func (d *Door) cloudEndpoints() cloudEndpointsOut {
	out := cloudEndpointsOut{oldMetadataOut: d.oldMetadata(), GraphAudience: "https://" + d.Cloud.Graph + "/"}
	out.Authentication.LoginEndpoint = d.login()
	var names []string
	for _, l := range subscription.Locations() {
		names = append(names, l.Name)
	}
	name := "public"
	if d.Cloud.Name != "AzureCloud" {
		name = d.Cloud.Name
	}
	out.CloudEndpoint = map[string]cloudEndpointOut{name: {Endpoint: d.Cloud.Management, Locations: names}}
	return out
}

// metadataOut is the form of 2019-05-01 (in an array) and of 2022-09-01. What this
// service does not have is left out, but for storage, without which Terraform refuses
// a cloud.
type metadataOut struct {
	Name                     string            `json:"name"`
	Portal                   string            `json:"portal"`
	Authentication           authenticationOut `json:"authentication"`
	ResourceManager          string            `json:"resourceManager"`
	Graph                    string            `json:"graph"`
	GraphAudience            string            `json:"graphAudience"`
	MicrosoftGraphResourceID string            `json:"microsoftGraphResourceId"`
	Batch                    string            `json:"batch"`
	Gallery                  string            `json:"gallery"`
	Suffixes                 suffixesOut       `json:"suffixes"`
}

type suffixesOut struct {
	KeyVaultDNS string `json:"keyVaultDns"`
	Storage     string `json:"storage"`
}

func (d *Door) newMetadata(login string) metadataOut {
	graph := "https://" + d.Cloud.Graph + "/"
	return metadataOut{
		Name:   d.Cloud.Name,
		Portal: "https://" + d.Cloud.Portal,
		Authentication: authenticationOut{
			LoginEndpoint: login, Audiences: d.Cloud.ManagementAudiences,
			// Terraform takes any other words for Azure Stack, and stops.
			Tenant: "common", IdentityProvider: "AAD",
		},
		ResourceManager:          "https://" + d.Cloud.Management + "/",
		Graph:                    graph,
		GraphAudience:            graph,
		MicrosoftGraphResourceID: graph,
		Batch:                    d.Cloud.BatchAudience,
		Gallery:                  "https://" + d.Cloud.Management + "/",
		Suffixes:                 suffixesOut{KeyVaultDNS: d.Cloud.Vault, Storage: d.Cloud.Storage},
	}
}

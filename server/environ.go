package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"latchkey/front"
	"latchkey/resource"
)

// A Variable is one change to an environment: a value to set, or, if Unset, a name
// to take away because its value would lead a client elsewhere.
type Variable struct {
	Name, Value string
	Unset       bool
}

// An Identity is how a program reaches the endpoint of one managed identity. The
// names are those of the service's answer to POST /local/identity.
type Identity struct {
	// Endpoint and Header are IDENTITY_ENDPOINT and IDENTITY_HEADER.
	Endpoint string `json:"endpoint"`
	Header   string `json:"header"`
	// PodHost is what stands for http://169.254.169.254.
	PodHost  string `json:"podHost"`
	ClientID string `json:"clientId"`
	TenantID string `json:"tenantId"`
}

// Environment returns what must change in an environment so that unmodified clients
// of Azure reach this service: the proxy, whom to trust, and who they are: the given
// identity, or with none the first application by its secret. lookup reads the
// environment as it is, whose own roots are kept; the files that the variables name
// are written below the data directory.
func (i Info) Environment(id *Identity, lookup func(string) (string, bool)) ([]Variable, error) {
	cloud, err := ParseCloud(i.Cloud)
	if err != nil {
		return nil, err
	}
	layout := Layout(i.Data)
	// az keeps who is logged in in its directory, so everyone has one of their own: the
	// login of an identity is of no use to the application, which cannot reach the
	// identity's endpoint.
	azDir := filepath.Join(layout.Client(), "azure")
	if id != nil {
		azDir += "-" + filepath.Base(id.ClientID)
	}
	if err := os.MkdirAll(azDir, 0o700); err != nil {
		return nil, fmt.Errorf("making az's directory: %w", err)
	}
	e := environ{lookup: lookup}
	e.proxy("http://"+i.Proxy, cloud)
	if err := e.trust(i, layout.Client()); err != nil {
		return nil, err
	}
	e.cloud(cloud)
	e.set("AZURE_SUBSCRIPTION_ID", i.SubscriptionID)
	e.set("ARM_SUBSCRIPTION_ID", i.SubscriptionID)
	if id != nil {
		e.identity(*id)
	} else {
		creds, err := layout.Credentials()
		if err != nil {
			return nil, err
		}
		e.application(creds)
	}
	// az must neither use nor touch the logins that the user has with the real cloud.
	e.set("AZURE_CONFIG_DIR", azDir)
	e.set("AZURE_CORE_COLLECT_TELEMETRY", "false")
	return e.changes, nil
}

// environ collects changes to an environment.
type environ struct {
	lookup  func(string) (string, bool)
	changes []Variable
}

func (e *environ) set(name, value string) {
	e.changes = append(e.changes, Variable{Name: name, Value: value})
}

// unset takes variables away, if they are there.
func (e *environ) unset(names ...string) {
	for _, name := range names {
		if _, ok := e.lookup(name); ok {
			e.changes = append(e.changes, Variable{Name: name, Unset: true})
		}
	}
}

// proxy leads HTTPS to us. HTTP_PROXY stays as it is: nothing of ours is plain HTTP
// but what is on loopback.
func (e *environ) proxy(address string, cloud resource.Cloud) {
	// Both spellings are in use; where both are set, programs differ in which they
	// prefer.
	e.set("HTTPS_PROXY", address)
	e.set("https_proxy", address)
	upper, _ := e.lookup("NO_PROXY")
	lower, _ := e.lookup("no_proxy")
	list := upper
	if lower != upper {
		list += "," + lower
	}
	list = keepNoProxy(list, cloud)
	e.set("NO_PROXY", list)
	e.set("no_proxy", list)
}

// trust adds our authority to what each variable trusts already. A variable that
// points nowhere yet gets the system's roots, because setting it takes them away;
// but for NODE_EXTRA_CA_CERTS, which only adds to Node's own.
func (e *environ) trust(i Info, dir string) error {
	ours, err := os.ReadFile(i.CAFile)
	if err != nil {
		return fmt.Errorf("reading the authority's certificate: %w", err)
	}
	system := front.SystemRoots()
	var general string
	for _, name := range []string{"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"} {
		roots := system
		if name == "NODE_EXTRA_CA_CERTS" {
			roots = nil
		}
		if path, ok := e.lookup(name); ok && path != "" {
			before, err := front.Roots(path)
			if err == nil {
				roots = before
			} else if !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("reading the roots that %s names: %w", name, err)
			}
		}
		file, err := front.WriteTrust(dir, roots, ours)
		if err != nil {
			return err
		}
		if name == "SSL_CERT_FILE" {
			general = file
		}
		e.set(name, file)
	}
	return e.java(general, i.Proxy)
}

// java tells the JVM the same; it reads neither the proxy's variables nor PEM.
func (e *environ) java(trust, proxy string) error {
	store, err := front.WriteTrustStore(trust)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(proxy)
	if err != nil {
		return fmt.Errorf("reading the proxy's address: %w", err)
	}
	options := []string{
		"-Dhttps.proxyHost=" + host,
		"-Dhttps.proxyPort=" + port,
		"-Djavax.net.ssl.trustStore=" + store,
		"-Djavax.net.ssl.trustStoreType=PKCS12",
		"-Djavax.net.ssl.trustStorePassword=" + front.TrustStorePassword,
	}
	for n, o := range options {
		if strings.ContainsAny(o, " \t") {
			options[n] = `"` + o + `"`
		}
	}
	// The last setting of a property counts, so ours stand after the user's own.
	before, _ := e.lookup("JAVA_TOOL_OPTIONS")
	if mine := strings.Join(options, " "); !strings.HasSuffix(before, mine) {
		before = strings.TrimSpace(before + " " + mine)
	}
	e.set("JAVA_TOOL_OPTIONS", before)
	return nil
}

// cloud says where a cloud of one's own has its endpoints. The public cloud's are
// the default of every client, as long as nothing says otherwise.
func (e *environ) cloud(c resource.Cloud) {
	if c.Name == resource.Azure().Name {
		e.unset("ARM_METADATA_HOSTNAME", "ARM_METADATA_HOST", "ARM_ENVIRONMENT", "ARM_CLOUD_METADATA_URL", "AZURE_AUTHORITY_HOST", "AZURE_CLOUD_NAME", "AZURE_CORE_INSTANCE_DISCOVERY")
		return
	}
	e.unset("ARM_ENVIRONMENT", "AZURE_CLOUD_NAME")
	e.set("ARM_METADATA_HOSTNAME", c.Management)
	e.set("ARM_METADATA_HOST", c.Management) // what Terraform's backends call it
	e.set("ARM_CLOUD_METADATA_URL", "https://"+c.Management+"/metadata/endpoints?api-version=2019-05-01")
	e.set("AZURE_AUTHORITY_HOST", "https://"+c.Login)
	// Discovery would ask the public cloud whether our authority may be trusted.
	e.set("AZURE_CORE_INSTANCE_DISCOVERY", "false")
}

// Variables by which clients learn who they are, beside those that are set. A client
// that finds one of them may prefer it to what we say.
var (
	strangers = []string{
		"AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_USERNAME", "AZURE_PASSWORD", "AZURE_FEDERATED_TOKEN_FILE",
		"ARM_CLIENT_CERTIFICATE", "ARM_CLIENT_CERTIFICATE_PATH", "ARM_CLIENT_CERTIFICATE_PASSWORD", "ARM_CLIENT_ID_FILE_PATH", "ARM_CLIENT_SECRET_FILE_PATH",
		"ARM_USE_OIDC", "ARM_OIDC_TOKEN", "ARM_OIDC_TOKEN_FILE_PATH", "ARM_USE_AKS_WORKLOAD_IDENTITY",
		"IDENTITY_SERVER_THUMBPRINT", "IMDS_ENDPOINT",
	}
	identityEndpoints = []string{
		"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "MSI_ENDPOINT", "MSI_SECRET", "AZURE_POD_IDENTITY_AUTHORITY_HOST", "ARM_USE_MSI", "ARM_MSI_ENDPOINT",
	}
)

// application is the first application, which shows its secret.
func (e *environ) application(c Credentials) {
	for _, prefix := range []string{"AZURE_", "ARM_"} {
		e.set(prefix+"TENANT_ID", c.TenantID)
		e.set(prefix+"CLIENT_ID", c.ClientID)
		e.set(prefix+"CLIENT_SECRET", c.ClientSecret)
	}
	e.unset(strangers...)
	e.unset(identityEndpoints...)
}

// identity is a managed identity. No secret is left in sight, or the default chain
// of the SDKs would use that.
func (e *environ) identity(id Identity) {
	for _, prefix := range []string{"AZURE_", "ARM_"} {
		e.set(prefix+"TENANT_ID", id.TenantID)
		e.set(prefix+"CLIENT_ID", id.ClientID)
	}
	e.unset("AZURE_CLIENT_SECRET", "ARM_CLIENT_SECRET")
	e.unset(strangers...)
	e.set("IDENTITY_ENDPOINT", id.Endpoint)
	e.set("IDENTITY_HEADER", id.Header)
	// The forms that older clients know.
	e.set("MSI_ENDPOINT", id.Endpoint)
	e.set("MSI_SECRET", id.Header)
	e.set("AZURE_POD_IDENTITY_AUTHORITY_HOST", id.PodHost)
	e.set("ARM_USE_MSI", "true")
	e.set("ARM_MSI_ENDPOINT", strings.TrimSuffix(id.PodHost, "/")+"/metadata/identity/oauth2/token")
}

package podidentity

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	aws "laterna.dev/laterna/internal/aws/podidentity"
)

// Settings are what of the injection can be set. The zero value injects what annotations of
// service accounts ask for.
type Settings struct {
	// Region is what AWS_REGION and AWS_DEFAULT_REGION become, "" leaves them.
	Region string
	// RegionalSTS is whether AWS_STS_REGIONAL_ENDPOINTS is set where the service account
	// does not say.
	RegionalSTS bool
	// Account completes roles that are given by their name, "" leaves them.
	Account string
	// ConfigMap is NAMESPACE/NAME of a ConfigMap that gives service accounts a role, as an
	// annotation would; "" for none.
	ConfigMap string
	// IdentitiesFile lists service accounts whose pods have container credentials; "" for
	// none.
	IdentitiesFile string
	// LocalSTS leads pods with a role to the STS of this system, where no annotation says.
	LocalSTS bool
}

// Validate returns what is wrong with the settings themselves.
func (s Settings) Validate() error {
	_, err := s.injection()
	if err != nil {
		return err
	}
	_, err = s.configMap()
	return err
}

// injection is the settings in the terms of the injection.
func (s Settings) injection() (aws.Settings, error) {
	out := aws.Defaults()
	out.Region, out.RegionalSTS, out.LocalSTS = s.Region, s.RegionalSTS, s.LocalSTS
	if s.Account != "" {
		base, err := aws.RoleBase(s.Account, s.Region)
		if err != nil {
			return out, err
		}
		out.RoleBase = base
	}
	return out, out.Validate()
}

// configMap is the name of the ConfigMap, empty for none.
func (s Settings) configMap() (types.NamespacedName, error) {
	if s.ConfigMap == "" {
		return types.NamespacedName{}, nil
	}
	namespace, name, found := strings.Cut(s.ConfigMap, "/")
	if !found || len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Subdomain(name)) > 0 {
		return types.NamespacedName{}, fmt.Errorf("%q is not NAMESPACE/NAME of a ConfigMap, such as eks/%s", s.ConfigMap, aws.ConfigMapName)
	}
	return types.NamespacedName{Namespace: namespace, Name: name}, nil
}

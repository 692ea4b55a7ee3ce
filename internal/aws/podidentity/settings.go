package podidentity

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// What the webhook has where nothing else is said.
const (
	DefaultPrefix     = "eks.amazonaws.com"
	DefaultAudience   = "sts.amazonaws.com"
	DefaultMountPath  = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
	DefaultExpiration = 86400

	// LeastExpiration is the least that the API lets a projected token live, in seconds.
	LeastExpiration = 600
	// leastDefault is the least that a token of container credentials lives where nobody
	// says how long: up to this much is taken off the default at random, so that tokens of
	// pods that began together do not end together.
	leastDefault = 79200

	volumeName = "aws-iam-token"
	tokenPath  = "token"
)

// Settings are what holds for all pods. They are not changed in use.
type Settings struct {
	// Prefix begins the names of the annotations.
	Prefix string
	// Audience is that of tokens whose service account does not say.
	Audience string
	// MountPath is where the token is mounted for web identity.
	MountPath string
	// Expiration is how many seconds a token lives where neither the pod nor its service
	// account says; see Floor.
	Expiration int64
	// Region is what AWS_REGION and AWS_DEFAULT_REGION become, "" leaves them.
	Region string
	// RegionalSTS is whether AWS_STS_REGIONAL_ENDPOINTS is set where the service account
	// does not say.
	RegionalSTS bool
	// RoleBase completes roles that are not ARNs: arn:PARTITION:iam::ACCOUNT:role/. "" leaves
	// them as they are.
	RoleBase string
	// LocalSTS is whether pods with a role are led to the STS of this system where no
	// annotation says; see Settings.WantsLocalSTS.
	LocalSTS bool

	ContainerCredentials ContainerCredentials
}

// ContainerCredentials is what pods of EKS Pod Identity are given: instead of a role the
// address of an agent that knows it.
type ContainerCredentials struct {
	Audience   string
	MountPath  string
	VolumeName string
	TokenPath  string
	FullURI    string
}

// Defaults are the webhook's settings without flags.
func Defaults() Settings {
	return Settings{
		Prefix: DefaultPrefix, Audience: DefaultAudience, MountPath: DefaultMountPath, Expiration: DefaultExpiration,
		ContainerCredentials: ContainerCredentials{
			Audience:   "pods.eks.amazonaws.com",
			MountPath:  "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount",
			VolumeName: "eks-pod-identity-token",
			TokenPath:  "eks-pod-identity-token",
			FullURI:    "http://169.254.170.23/v1/credentials",
		},
	}
}

// Floor is how long a token lives for which somebody has asked for so many seconds.
func Floor(seconds int64) int64 { return max(seconds, LeastExpiration) }

// partitions are the partitions of regions by how their names begin.
var partitions = [][2]string{
	{"cn-", "aws-cn"}, {"us-gov-", "aws-us-gov"}, {"us-iso-", "aws-iso"}, {"us-isob-", "aws-iso-b"}, {"eusc-", "aws-eusc"},
}

// RoleBase is what completes the names of an account's roles; the region tells the partition.
func RoleBase(account, region string) (string, error) {
	if !accountID.MatchString(account) {
		return "", fmt.Errorf("%q is not the number of an account, which has 12 digits", account)
	}
	partition := "aws"
	for _, p := range partitions {
		if strings.HasPrefix(region, p[0]) {
			partition = p[1]
		}
	}
	return "arn:" + partition + ":iam::" + account + ":role/", nil
}

var (
	accountID = regexp.MustCompile(`^\d{12}$`)
	regionID  = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
	// roleARN is what the webhook takes for the ARN of a role; it uses others, too, and says
	// so in its log.
	roleARN = regexp.MustCompile(`^arn:aws[a-z0-9-]*:iam::\d{12}:role/[\w-/.@+=,]+$`)
)

// ValidRegion refuses what cannot be the name of a region; "" is none.
func ValidRegion(region string) error {
	if region != "" && !regionID.MatchString(region) {
		return fmt.Errorf("%q is not the name of a region, such as eu-central-1", region)
	}
	return nil
}

// Validate refuses settings of which no volume or mount can be made.
func (s *Settings) Validate() error {
	for _, p := range []string{s.MountPath, s.ContainerCredentials.MountPath} {
		if !strings.HasPrefix(p, "/") {
			return fmt.Errorf("token mount path %q is not absolute", p)
		}
	}
	if s.Prefix == "" {
		return errors.New("the annotation prefix is empty")
	}
	return ValidRegion(s.Region)
}

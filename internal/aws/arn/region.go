package arn

import (
	"regexp"
	"strings"
)

// DefaultPartition is that of all regions that are not set apart.
const DefaultPartition = "aws"

// partitions tells which regions are set apart, by how their names begin.
var partitions = []struct{ region, partition string }{
	{"cn-", "aws-cn"},
	{"us-gov-", "aws-us-gov"},
	{"us-iso-", "aws-iso"},
	{"us-isob-", "aws-iso-b"},
	{"eu-isoe-", "aws-iso-e"},
	{"us-isof-", "aws-iso-f"},
	{"eusc-", "aws-eusc"},
}

// PartitionOf returns the partition that a region is in.
func PartitionOf(region string) string {
	for _, p := range partitions {
		if strings.HasPrefix(region, p.region) {
			return p.partition
		}
	}
	return DefaultPartition
}

// GlobalSTSHost is the name of STS that is in no region.
const GlobalSTSHost = "sts.amazonaws.com"

var plainRegion = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]{2,12}){1,2}-[0-9]{1,2}$`)

// STSHost returns the name at which clients look for STS in a region. False is that it is no
// region, or one of a partition whose names are not AWS's public ones.
func STSHost(region string) (string, bool) {
	if len(region) > 40 || !plainRegion.MatchString(region) {
		return "", false
	}
	switch PartitionOf(region) {
	case DefaultPartition, "aws-us-gov":
		return "sts." + region + ".amazonaws.com", true
	case "aws-cn":
		return "sts." + region + ".amazonaws.com.cn", true
	}
	return "", false
}

// IsSTSHost tells whether a host is GlobalSTSHost or one that STSHost returns.
func IsSTSHost(host string) bool {
	if host == GlobalSTSHost {
		return true
	}
	name, ok := strings.CutPrefix(host, "sts.")
	if !ok {
		return false
	}
	region, _, _ := strings.Cut(name, ".")
	is, ok := STSHost(region)
	return ok && is == host
}

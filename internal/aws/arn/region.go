package arn

import "strings"

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

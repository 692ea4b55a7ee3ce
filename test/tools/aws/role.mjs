// The client in JavaScript (the SDK's version 3), see package aws.
import { createInterface } from "node:readline";
import { IAMClient, GetRoleCommand, ListRolesCommand } from "@aws-sdk/client-iam";
import { STSClient, GetCallerIdentityCommand } from "@aws-sdk/client-sts";
import { fromNodeProviderChain } from "@aws-sdk/credential-providers";

const credentials = fromNodeProviderChain();
const sts = new STSClient({ credentials });
const iam = new IAMClient({ credentials });

async function did(what, name) {
  switch (what) {
    case "whoami": {
      const { Arn } = await sts.send(new GetCallerIdentityCommand({}));
      return Arn + " " + (await sts.config.credentials()).accessKeyId;
    }
    case "role":
      return (await iam.send(new GetRoleCommand({ RoleName: name }))).Role.Arn;
    case "roles":
      return (await iam.send(new ListRolesCommand({}))).Roles.map((r) => r.RoleName).join(" ");
    default:
      throw new Error(`what is ${what}?`);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [what, ...name] = line.trim().split(" ");
  try {
    console.log(await did(what, name.join(" ")));
  } catch (e) {
    console.log(e.$metadata ? `error ${e.name}: ${e.message}` : `error client: ${e}`.replaceAll("\n", " "));
  }
}

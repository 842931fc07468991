//! Requests in a loop inside a caller's pod, so that they continue while the API server is down.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::{Caller, Kubectl, SERVICE};

/// A running loop: requests with the caller's token, and requests without one.
#[derive(Debug)]
pub struct Load {
    caller: Caller,
}

// === impl Load ===

impl Load {
    /// Starts the loop, against the service of the example.
    pub fn start(kubectl: &Kubectl, caller: Caller) -> Result<Self> {
        Self::start_at(kubectl, caller, SERVICE)
    }

    /// Starts the loop, against `GET /headers` of this service.
    pub fn start_at(kubectl: &Kubectl, caller: Caller, service: &str) -> Result<Self> {
        let script = format!(
            r#"rm -rf /tmp/load; mkdir /tmp/load
cat > /tmp/load/loop <<'E'
# loop NAME ARGUMENTS OF CURL
name=$1; shift
while [ ! -e /tmp/load/stop ]; do
  curl -s -m 10 -o /dev/null -w "$name %{{http_code}}\n" "$@" "{service}/headers?[1-20]" >> /tmp/load/$name
done
touch /tmp/load/$name.done
E
token=$(cat /var/run/secrets/service-tokens/secret-store)
# Programs of their own: a shell function would keep the streams of `kubectl exec` open.
sh /tmp/load/loop token -H "Authorization: Bearer $token" > /dev/null 2>&1 < /dev/null &
sh /tmp/load/loop none > /dev/null 2>&1 < /dev/null &"#
        );
        shell(kubectl, caller, &script)?;
        Ok(Self { caller })
    }

    /// How many requests of each kind had each status so far: `token 200`, `none 401`.
    pub fn counts(&self, kubectl: &Kubectl) -> Result<BTreeMap<String, usize>> {
        let counts =
            shell(kubectl, self.caller, "cat /tmp/load/token /tmp/load/none | sort | uniq -c")?;
        counts
            .lines()
            .map(|line| {
                let (count, kind) = line.trim().split_once(' ').context(line.to_owned())?;
                Ok((kind.to_owned(), count.parse()?))
            })
            .collect()
    }

    /// Ends the loop, and returns the counts.
    pub fn stop(self, kubectl: &Kubectl) -> Result<BTreeMap<String, usize>> {
        let script = "touch /tmp/load/stop
for i in $(seq 60); do [ -e /tmp/load/token.done ] && [ -e /tmp/load/none.done ] && break; sleep 0.5; done";
        shell(kubectl, self.caller, script)?;
        self.counts(kubectl)
    }
}

fn shell(kubectl: &Kubectl, caller: Caller, script: &str) -> Result<String> {
    let target = format!("deploy/{}", caller.name());
    kubectl.shell(caller.namespace(), &target, caller.name(), script)
}

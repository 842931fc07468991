//! Requests in a loop inside a caller's pod, so that they continue while the API server is down.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::{Caller, Kubectl, SERVICE, until};

/// A running loop in the pod of a Deployment whose container has the same name.
#[derive(Debug)]
pub struct Load {
    namespace: String,
    application: String,
}

// === impl Load ===

impl Load {
    /// Starts the loop, against the service of the example: requests with the caller's token, and requests without one.
    pub fn start(kubectl: &Kubectl, caller: Caller) -> Result<Self> {
        Self::start_at(kubectl, caller, SERVICE)
    }

    /// Starts the loop, against `GET /headers` of this service.
    pub fn start_at(kubectl: &Kubectl, caller: Caller, service: &str) -> Result<Self> {
        let token = "$(cat /var/run/secrets/service-tokens/secret-store)";
        let with_token = format!("-H \"Authorization: Bearer {token}\" {service}/headers");
        let requests = [("token", with_token), ("none", format!("{service}/headers"))];
        Self::start_with(kubectl, (caller.namespace(), caller.name()), &requests)
    }

    /// Starts a loop for each of these requests: a name, and arguments of curl that end with the URL.
    pub fn start_with(
        kubectl: &Kubectl,
        (namespace, application): (&str, &str),
        requests: &[(&str, String)],
    ) -> Result<Self> {
        let load = Self { namespace: namespace.to_owned(), application: application.to_owned() };
        let mut script = LOOP.to_owned();
        for (name, arguments) in requests {
            // Programs of their own: a shell function would keep the streams of `kubectl exec` open.
            let run = format!("sh /tmp/load/loop {name} {arguments}");
            script +=
                &format!("touch /tmp/load/running/{name}\n{run} > /dev/null 2>&1 < /dev/null &\n");
        }
        load.shell(kubectl, &script)?;
        Ok(load)
    }

    /// How many requests of each kind had each status so far: `token 200`, `none 401`.
    pub fn counts(&self, kubectl: &Kubectl) -> Result<BTreeMap<String, usize>> {
        let counts = self.shell(kubectl, "cat /tmp/load/seen/* | sort | uniq -c")?;
        counts
            .lines()
            .map(|line| {
                let (count, kind) = line.trim().split_once(' ').context(line.to_owned())?;
                Ok((kind.to_owned(), count.parse()?))
            })
            .collect()
    }

    /// Waits until the loop has sent this number of further requests.
    pub fn continue_for(&self, kubectl: &Kubectl, more: usize) -> Result<()> {
        let count = || Ok::<_, anyhow::Error>(self.counts(kubectl)?.values().sum::<usize>());
        let before = count()?;
        until("requests", || {
            let now = count()?;
            Ok((now < before + more).then(|| format!("{now} after {before}")))
        })
    }

    /// Ends the loop, and returns the counts.
    pub fn stop(self, kubectl: &Kubectl) -> Result<BTreeMap<String, usize>> {
        self.shell(kubectl, "touch /tmp/load/stop")?;
        until("the end of the requests", || {
            let running = self.shell(kubectl, "ls /tmp/load/running")?;
            Ok((!running.is_empty()).then_some(running))
        })?;
        self.counts(kubectl)
    }

    fn shell(&self, kubectl: &Kubectl, script: &str) -> Result<String> {
        let target = format!("deploy/{}", self.application);
        kubectl.shell(&self.namespace, &target, &self.application, script)
    }
}

/// `loop NAME ARGUMENTS OF CURL` sends 20 requests on each connection: the last argument is the URL, and gets a query.
const LOOP: &str = r#"rm -rf /tmp/load; mkdir -p /tmp/load/running /tmp/load/seen
cat > /tmp/load/loop <<'E'
name=$1; shift
while [ ! -e /tmp/load/stop ]; do
  curl -s -m 10 -o /dev/null -w "$name %{http_code}\n" "$@?[1-20]" >> /tmp/load/seen/$name
done
rm /tmp/load/running/$name
E
"#;

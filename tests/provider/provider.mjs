// A certified OpenID Connect provider, in memory. Signs in whom `login` names without asking: the interactions of a
// person with it are not what is tested. Settings come as JSON in PROVIDER; `POST /keys` makes it sign with a new key.
import { Provider } from 'oidc-provider';
import { generateKeyPair, exportJWK } from 'jose';
import http from 'node:http';

const { port, redirectUri } = JSON.parse(process.env.PROVIDER);
const issuer = `http://127.0.0.1:${port}`;

async function key(kid) {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  return { ...(await exportJWK(privateKey)), kid, alg: 'RS256', use: 'sig' };
}

function make(keys) {
  const provider = new Provider(issuer, {
    clients: [
      { client_id: 'svc', client_secret: 'svc-secret', redirect_uris: [redirectUri], grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'] },
      { client_id: 'other', client_secret: 'other-secret', redirect_uris: [redirectUri], grant_types: ['authorization_code'], response_types: ['code'] },
      { client_id: 'machine', client_secret: 'machine-secret', redirect_uris: [], response_types: [], grant_types: ['client_credentials'] },
    ],
    jwks: { keys },
    cookies: { keys: ['test'] },
    pkce: { required: () => true },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    features: { devInteractions: { enabled: true }, clientCredentials: { enabled: true }, introspection: { enabled: true, allowedPolicy: () => true } },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.test`, email_verified: !id.startsWith('unverified'), name: `Name of ${id}` }),
    }),
  });
  return provider;
}

const keys = [await key('k1')];
let provider = make(keys);
const server = http.createServer(async (request, response) => {
  if (request.method === 'POST' && request.url === '/keys') {
    // Grants live on in the adapter of their own provider; who signs in after this gets the new key's signature.
    keys.splice(0, 1, await key(`k${Date.now()}`));
    provider = make(keys);
    return response.writeHead(204).end();
  }
  return provider.callback()(request, response);
});
// Whoever started this holds the other end: it ends with them.
process.stdin.resume().on('end', () => process.exit());
server.listen(port, '127.0.0.1', () => console.log('ready'));

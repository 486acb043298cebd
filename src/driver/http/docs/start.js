// A token is kept in the page alone, and goes with it.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#page",
  deepLinking: true,
  docExpansion: "list",
  displayRequestDuration: true,
  persistAuthorization: false,
  tryItOutEnabled: true,
  // Nothing is asked of anyone else.
  validatorUrl: null,
});

variable "session" { type = string }
resource "terraform_data" "number" { input = parseint(substr(sha256(var.session), 0, 4), 16) }
output "number" { value = terraform_data.number.output }

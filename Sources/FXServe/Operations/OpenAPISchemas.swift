internal import FXMapping
internal import FXSystem

/// The shapes of the bodies, for `OpenAPIDocument`.
enum OpenAPISchemas {
    static func reference(_ name: String) -> JSONValue { ["$ref": .string("#/components/schemas/\(name)")] }

    static func envelope(_ data: JSONValue) -> JSONValue {
        object(["success": ["const": true], "data": data])
    }

    /// What `data` is in the answer of an operation.
    static func data(of operation: Operation) -> JSONValue {
        switch operation {
        case .createType, .createTypeDirs, .updateType, .listType: reference("Type")
        case .deleteType, .existsType, .existsFile: ["type": "boolean"]
        case .listTypes: reference("TypeList")
        case .listTypeContent, .listContent: reference("FileList")
        case .getAccessMode: reference("Access")
        case .getFileInfo, .createDir, .copyFile, .moveFile, .renameFile: reference("File")
        case .download: ["type": "string"]
        case .upload: ["type": "string", "format": "binary"]
        }
    }

    static func request(_ operation: Operation) -> JSONValue {
        let isForm = operation == .download
        let properties = operation.parameters.map { parameter in
            JSONValue.Member(parameter.field.rawValue, schema(of: parameter, isForm: isForm))
        }
        let required = operation.parameters.filter(\.isRequired).map { JSONValue.string($0.field.rawValue) }
        return ["type": "object", "properties": .object(properties), "required": .array(required)]
    }

    /// No separators, no drive letter, not only dots, nothing invisible: what every file system and every browser carries.
    private static let namePattern: JSONValue = .string(#"^[A-Za-z0-9_ -][A-Za-z0-9_ .-]*$"#)

    private static func schema(of parameter: Parameter, isForm: Bool) -> JSONValue {
        let optional = !parameter.isRequired && !isForm
        switch parameter.kind {
        case .name, .fileName:
            return [
                "type": type("string", optional), "minLength": 1, "maxLength": 255, "pattern": namePattern,
                "examples": [.string(example(of: parameter.field))],
            ]
        case .path:
            if isForm {
                return ["type": "string", "description": "Components joined with commas, or one part for each."]
            }
            let component: JSONValue = ["type": "string", "minLength": 1, "maxLength": 255, "pattern": namePattern]
            var members: [JSONValue.Member] = [
                .init("type", type("array", optional)), .init("items", component), .init("maxItems", 15),
                .init("examples", [["2026", "july"]]),
            ]
            if parameter.isRequired { members.append(.init("minItems", 1)) }
            return .object(members)
        case .flag:
            return isForm ? ["type": "string", "enum": ["true", "false"]] : ["type": type("boolean", optional)]
        case .seconds: return ["type": type("integer", optional), "minimum": 1, "maximum": 86400]
        case .localPath: return ["type": ["string", "array", "null"], "items": ["type": "string"]]
        case .file: return ["type": "string", "format": "binary"]
        case .page: return ["anyOf": [reference("Page"), ["type": "null"]]]
        }
    }

    private static func example(of field: ExchangeParameter) -> String {
        switch field {
        case .entity: "acme"
        case .fileName: "report.pdf"
        case .newFileName: "copy.pdf"
        default: "invoices"
        }
    }

    private static func type(_ name: JSONValue, _ optional: Bool) -> JSONValue {
        optional ? .array([name, "null"]) : name
    }

    static func summary(of call: ServiceCall) -> String {
        switch call {
        case .consent: "Asks the user for consent."
        case .transfers: "How far transfers are: each, and all that run together."
        case .consents: "All consents."
        case .grant: "Records consent for an origin."
        case .revoke: "Takes consent back; false when there was none."
        case .types: "The types of all applications."
        case .refusals: "What was refused last, newest first."
        }
    }

    /// The schema of `data`.
    static func name(of call: ServiceCall) -> String {
        switch call {
        case .consent: "ConsentState"
        case .transfers: "TransferList"
        case .consents: "ConsentList"
        case .grant: "Consent"
        case .revoke: "Flag"
        case .types: "TypeList"
        case .refusals: "RefusalList"
        }
    }

    static func request(_ call: ServiceCall) -> JSONValue {
        let days: JSONValue = [
            "type": ["integer", "null"], "minimum": 1, "maximum": .integer(Int64(ConsentStore.longestDays)),
        ]
        let origin: JSONValue = ["type": "string", "pattern": "^https?://[a-z0-9][a-z0-9.-]{0,60}$"]
        switch call {
        case .consent: return object(["durationInDays": days], required: [])
        case .grant: return object(["origin": origin, "days": days], required: ["origin"])
        default: return object(["origin": origin])
        }
    }

    private static func object(_ properties: KeyValuePairs<String, JSONValue>, required: [String]? = nil) -> JSONValue {
        let names = required ?? properties.map(\.key)
        return [
            "type": "object", "properties": .object(properties.map { .init($0.key, $0.value) }),
            "required": .array(names.map { .string($0) }),
        ]
    }

    private static func list(_ items: String) -> JSONValue { ["type": "array", "items": reference(items)] }

    static var all: [JSONValue.Member] {
        let text: JSONValue = ["type": "string"]
        let count: JSONValue = ["type": "integer", "minimum": 0]
        let optionalText: JSONValue = ["type": ["string", "null"]]
        return [
            .init("Access", ["type": "string", "pattern": "^r?w?x?$"]), .init("Flag", ["type": "boolean"]),
            .init(
                "Page",
                [
                    "type": "object",
                    "properties": [
                        "start": ["type": ["integer", "null"], "minimum": 0, "maximum": .integer(Int64(Int32.max))],
                        "size": ["type": ["integer", "null"], "minimum": 1, "maximum": .integer(Int64(Int32.max))],
                        "sort": ["enum": ["ASC", "DESC", nil]],
                    ],
                ]),
            .init("Failure", object(["success": ["const": false], "code": text, "description": text])),
            .init(
                "File",
                object([
                    "extension": text, "name": text, "path": text, "relPath": ["type": "array", "items": text],
                    "type": text, "entity": text, "size": count,
                    "lastModificationTime": ["type": "string", "format": "date-time"], "isDir": ["type": "boolean"],
                    "access": reference("Access"),
                ])),
            .init(
                "Type",
                object([
                    "entity": text, "type": text, "path": optionalText, "access": reference("Access"),
                    "status": ["enum": ["MAPPED", "UNMAPPED"]], "files": count, "appid": text,
                ])),
            .init("FileList", object(["files": list("File"), "total": count])),
            .init("TypeList", object(["types": list("Type"), "total": count])),
            .init(
                "Transfer",
                object([
                    "id": count, "action": ["enum": ["UPLOAD", "DOWNLOAD", "COPY", "MOVE"]],
                    "state": ["enum": ["RUNNING", "DONE", "FAILED"]], "entity": optionalText, "type": optionalText,
                    "relPath": ["type": ["array", "null"], "items": text], "fileName": optionalText, "bytes": count,
                    "total": ["type": ["integer", "null"]], "started": text, "ended": optionalText,
                    "error": optionalText,
                ])),
            .init(
                "TransferList",
                object(["transfers": list("Transfer"), "running": count, "bytes": count, "total": count])),
            .init("ConsentState", object(["state": ["const": "APPROVED"]])),
            .init(
                "Consent",
                object([
                    "origin": text, "application": text, "granted_at": text, "expires_at": text,
                    "granted_by": ["enum": ["command", "prompt", "page"]],
                ])),
            .init("ConsentList", list("Consent")),
            .init(
                "Refusal",
                object(["time": text, "origin": optionalText, "path": text, "code": text, "condition": text])),
            .init("RefusalList", list("Refusal")),
            .init(
                "Info",
                object([
                    "t1CInfoAPI": object([
                        "version": text, "optionalConsent": ["type": "boolean"], "service": ["type": "object"],
                    ]),
                    "fxmount": object(["version": text, "payloadLimit": count, "codes": ["enum": ["seed", "later"]]]),
                ])),
        ]
    }
}

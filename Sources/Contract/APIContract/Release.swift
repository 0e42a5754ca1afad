/// The release that this source is.
package enum Release {
    package static let version = "0.1.0"
    package static let apiVersion = "v1"
}

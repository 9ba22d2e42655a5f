// SPDX-License-Identifier: GPL-2.0-or-later
//
// One object of a JSON text: values of the expected types, or an error that names the key.
#pragma once

#include "core/error.h"

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace egraff {

using Json = nlohmann_lmp::json; // LAMMPS ships the library in a namespace of its own

class JsonObject {
  public:
    // What is wrong is reported as that of the key "prefix key" of the file `path`.
    JsonObject(const Json &object, const std::string &path, std::string fix,
               std::string prefix = "")
        : object_(object), path_(path), fix_(std::move(fix)), prefix_(std::move(prefix)) {}

    // The value as it is; `expected` says in words what it should be. Numbers are not converted:
    // 2.5 is no whole number, and true is none at all.
    template <typename T> T get(const char *key, const char *expected) const {
        if (!object_.contains(key)) {
            fail(key, std::string("expected ") + expected + ", the key is missing");
        }
        auto value = convert<T>(object_.at(key));
        if (!value) {
            refuse(key, expected);
        }
        return std::move(*value);
    }

    // The same where the file may say null; the key itself must be there.
    template <typename T>
    std::optional<T> get_or_null(const char *key, const char *expected) const {
        if (object_.contains(key) && object_.at(key).is_null()) {
            return std::nullopt;
        }
        return get<T>(key, expected);
    }

    // A table given as rows, flattened.
    template <typename T>
    std::vector<T> table(const char *key, const char *expected, size_t rows, size_t columns) const {
        const auto nested = get<std::vector<std::vector<T>>>(key, expected);
        std::vector<T> flat;
        bool good = nested.size() == rows;
        for (const auto &row : nested) {
            good = good && row.size() == columns;
            flat.insert(flat.end(), row.begin(), row.end());
        }
        if (!good) {
            refuse(key, expected);
        }
        return flat;
    }

    JsonObject object(const char *key) const {
        get<const Json *>(key, "a JSON object");
        return {object_.at(key), path_, fix_, prefix_ + key + ": "};
    }

    bool is_null(const char *key) const {
        return object_.contains(key) && object_.at(key).is_null();
    }

    // Throws the error "expected `expected`, got (what the file says)".
    [[noreturn]] void refuse(const char *key, const std::string &expected) const {
        std::string got = object_.at(key).dump();
        constexpr size_t LONGEST = 60;
        if (got.size() > LONGEST) {
            got = got.substr(0, LONGEST - 3) + "...";
        }
        fail(key, "expected " + expected + ", got " + got);
    }

    [[noreturn]] void fail(const char *key, const std::string &problem) const {
        throw Error(problem, {path_, prefix_ + key}, fix_);
    }

  private:
    template <typename T> struct IsVector : std::false_type {};
    template <typename T> struct IsVector<std::vector<T>> : std::true_type {};

    template <typename T> static std::optional<T> convert(const Json &json) {
        if constexpr (IsVector<T>::value) {
            if (!json.is_array()) {
                return std::nullopt;
            }
            T values;
            for (const Json &element : json) {
                auto value = convert<typename T::value_type>(element);
                if (!value) {
                    return std::nullopt;
                }
                values.push_back(std::move(*value));
            }
            return values;
        } else if constexpr (std::is_same_v<T, const Json *>) {
            return json.is_object() ? std::optional<T>(&json) : std::nullopt;
        } else if constexpr (std::is_same_v<T, bool>) {
            return json.is_boolean() ? std::optional<T>(json.get<T>()) : std::nullopt;
        } else if constexpr (std::is_integral_v<T>) {
            return json.is_number_integer() ? std::optional<T>(json.get<T>()) : std::nullopt;
        } else if constexpr (std::is_floating_point_v<T>) {
            return json.is_number() ? std::optional<T>(json.get<T>()) : std::nullopt;
        } else {
            static_assert(std::is_same_v<T, std::string>);
            return json.is_string() ? std::optional<T>(json.get<T>()) : std::nullopt;
        }
    }

    const Json &object_;
    const std::string &path_;
    std::string fix_;
    std::string prefix_;
};

} // namespace egraff

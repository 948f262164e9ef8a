//! Settings as Python gives them: names become the kernels' enums, attributes their structs. What is not known is refused here.

use crate::Error;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// A name of a choice, `"name"`, or a name with its value, `("name", value)`.
pub struct Choice<'py> {
    argument: &'static str,
    name: String,
    value: Option<Bound<'py, PyAny>>,
}

impl<'py> Choice<'py> {
    /// Reads what `argument` is set to.
    pub fn read(argument: &'static str, object: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(name) = object.cast::<PyString>() {
            return Ok(Self { argument, name: name.to_str()?.to_owned(), value: None });
        }
        let pair: Result<(String, Bound<'py, PyAny>), _> = object.extract();
        let Ok((name, value)) = pair else {
            let message = format!("{} is neither a name nor a name with its value", object.repr()?);
            return Err(Error::invalid(argument, message).into());
        };
        Ok(Self { argument, name, value: Some(value) })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value that belongs to the name.
    pub fn value<V: for<'a> FromPyObject<'a, 'py, Error: Into<PyErr>>>(&self) -> PyResult<V> {
        let Some(value) = &self.value else {
            return Err(Error::invalid(self.argument, format!("{:?} needs a value; give a pair", self.name)).into());
        };
        value.extract().map_err(Into::into)
    }

    /// Refuses a value where the name takes none.
    pub fn alone(&self) -> PyResult<()> {
        let message = || format!("{:?} takes no value; give the name alone", self.name);
        self.value.as_ref().map_or(Ok(()), |_| Err(Error::invalid(self.argument, message()).into()))
    }

    /// The error of a name that is not among `names`.
    pub fn unknown(&self, names: &[&str]) -> PyErr {
        let names = Vec::from_iter(names.iter().map(|name| format!("{name:?}"))).join(", ");
        Error::invalid(self.argument, format!("{:?} is not known; give one of {names}", self.name)).into()
    }
}

/// `string_enum!(Reduce, "reduce" { "none" => None, "crop" => Crop(radius) })`: an enum of a kernel from its names in Python.
/// A variant in brackets takes a value: Python gives `("crop", 4)`.
macro_rules! string_enum {
    ($enum:ty, $argument:literal { $($name:literal => $variant:ident $(($value:ident))?),+ $(,)? }) => {
        impl<'a, 'py> pyo3::FromPyObject<'a, 'py> for $enum {
            type Error = pyo3::PyErr;

            fn extract(object: pyo3::Borrowed<'a, 'py, pyo3::PyAny>) -> pyo3::PyResult<Self> {
                let choice = $crate::python::settings::Choice::read($argument, &object)?;
                match choice.name() {
                    $($name => {
                        $crate::python::settings::string_enum!(@check choice $($value)?);
                        Ok(Self::$variant $(({ let $value = choice.value()?; $value }))?)
                    })+
                    _ => Err(choice.unknown(&[$($name),+])),
                }
            }
        }
    };
    (@check $choice:ident) => { $choice.alone()? };
    (@check $choice:ident $value:ident) => {};
}

/// `from_attributes!(Settings { window, step })`: a struct of a kernel from the attributes of a Python object.
macro_rules! from_attributes {
    ($struct:ty { $($field:ident),+ $(,)? }) => {
        impl<'a, 'py> pyo3::FromPyObject<'a, 'py> for $struct {
            type Error = pyo3::PyErr;

            fn extract(object: pyo3::Borrowed<'a, 'py, pyo3::PyAny>) -> pyo3::PyResult<Self> {
                Ok(Self { $($field: object.getattr(stringify!($field))?.extract().map_err(pyo3::PyErr::from)?),+ })
            }
        }
    };
}
pub(crate) use {from_attributes, string_enum};
